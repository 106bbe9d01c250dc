//! noVNC, the VNC client that the page runs. What it is and where it comes from: `novnc/README.md`.

use axum::{Router, http::header, routing::get};

use super::page::{asset, with_header};

/// Its version, a part of its path: what a browser has kept of one version is never taken for another's.
const VERSION: &str = "1.7.0";

/// How long a browser may keep the files, in seconds.
const KEEP: &str = "public, max-age=31536000, immutable";

macro_rules! files {
    ($($path:literal,)*) => {
        /// The modules that `core/rfb.js` consists of.
        const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("novnc/", $path))),)*];
    };
}

files! {
    "core/base64.js",
    "core/crypto/aes.js",
    "core/crypto/bigint.js",
    "core/crypto/crypto.js",
    "core/crypto/des.js",
    "core/crypto/dh.js",
    "core/crypto/md5.js",
    "core/crypto/rsa.js",
    "core/decoders/copyrect.js",
    "core/decoders/h264.js",
    "core/decoders/hextile.js",
    "core/decoders/jpeg.js",
    "core/decoders/raw.js",
    "core/decoders/rre.js",
    "core/decoders/tight.js",
    "core/decoders/tightpng.js",
    "core/decoders/zlib.js",
    "core/decoders/zrle.js",
    "core/deflator.js",
    "core/display.js",
    "core/encodings.js",
    "core/inflator.js",
    "core/input/domkeytable.js",
    "core/input/fixedkeys.js",
    "core/input/gesturehandler.js",
    "core/input/keyboard.js",
    "core/input/keysym.js",
    "core/input/keysymdef.js",
    "core/input/util.js",
    "core/input/vkeys.js",
    "core/input/xtscancodes.js",
    "core/ra2.js",
    "core/rfb.js",
    "core/util/browser.js",
    "core/util/cursor.js",
    "core/util/element.js",
    "core/util/events.js",
    "core/util/eventtarget.js",
    "core/util/int.js",
    "core/util/logging.js",
    "core/util/strings.js",
    "core/websock.js",
    "vendor/pako/lib/utils/common.js",
    "vendor/pako/lib/zlib/adler32.js",
    "vendor/pako/lib/zlib/crc32.js",
    "vendor/pako/lib/zlib/deflate.js",
    "vendor/pako/lib/zlib/inffast.js",
    "vendor/pako/lib/zlib/inflate.js",
    "vendor/pako/lib/zlib/inftrees.js",
    "vendor/pako/lib/zlib/messages.js",
    "vendor/pako/lib/zlib/trees.js",
    "vendor/pako/lib/zlib/zstream.js",
}

/// The licences of everything above.
const LICENCE: &str = concat!(
    include_str!("novnc/LICENSE.txt"),
    "\n\n",
    include_str!("novnc/AUTHORS"),
    "\n\n",
    include_str!("novnc/docs/LICENSE.MPL-2.0"),
    "\n\n",
    include_str!("novnc/docs/LICENSE.BSD-3-Clause"),
    "\n\n",
    include_str!("novnc/docs/LICENSE.BSD-2-Clause"),
    "\n\n",
    include_str!("novnc/vendor/pako/LICENSE"),
);

/// The modules, in the source form that their licence asks for, and their licences.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let modules = FILES.iter().fold(Router::new(), |router, (path, text)| {
        let path = format!("/console/novnc-{VERSION}/{path}");
        router.route(
            &path,
            get(async || with_header(asset("text/javascript;charset=UTF-8", text), header::CACHE_CONTROL, KEEP)),
        )
    });
    modules.route("/console/licence", get(async || asset("text/plain;charset=UTF-8", LICENCE)))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        path::{Component, Path, PathBuf},
    };

    use super::*;

    /// The paths that a module imports, as they are written.
    fn imports(text: &str) -> impl Iterator<Item = &str> {
        ["from \"", "from '", "import \"", "import '", "import(\"", "import('"].into_iter().flat_map(|word| {
            text.split(word)
                .skip(1)
                .filter_map(|rest| rest.split(['"', '\'']).next())
                .filter(|path| path.starts_with('.'))
        })
    }

    fn resolved(module: &str, import: &str) -> String {
        let mut path = PathBuf::new();
        for part in Path::new(module).parent().unwrap().join(import).components() {
            match part {
                Component::ParentDir => assert!(path.pop()),
                Component::Normal(name) => path.push(name),
                _ => {}
            }
        }
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_modules_are_those_that_the_page_needs_and_no_others() {
        let mut needed = BTreeSet::from(["core/rfb.js".to_owned()]);
        let mut open: Vec<String> = needed.iter().cloned().collect();
        while let Some(module) = open.pop() {
            let (_, text) =
                FILES.iter().find(|(path, _)| *path == module).unwrap_or_else(|| panic!("{module} is missing"));
            open.extend(
                imports(text).map(|import| resolved(&module, import)).filter(|module| needed.insert(module.clone())),
            );
        }
        assert_eq!(needed, FILES.iter().map(|(path, _)| (*path).to_owned()).collect());
    }

    #[test]
    fn every_file_that_was_taken_is_served() {
        fn modules(directory: &Path, found: &mut BTreeSet<PathBuf>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    modules(&path, found);
                } else if path.extension().is_some_and(|kind| kind == "js") {
                    found.insert(path);
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/novnc");
        let mut found = BTreeSet::new();
        modules(&root, &mut found);
        assert_eq!(found, FILES.iter().map(|(path, _)| root.join(path)).collect());
    }

    #[test]
    fn the_page_loads_this_version() {
        assert!(include_str!("page/console.js").contains(&format!("./novnc-{VERSION}/core/rfb.js")));
        assert!(include_str!("novnc/README.md").starts_with(&format!("# noVNC {VERSION}\n")));
    }
}
