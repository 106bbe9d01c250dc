use super::*;

async fn opened() -> (tempfile::TempDir, Store, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    let settings = Settings::open(&store).await.unwrap();
    (dir, store, settings)
}

#[test]
fn every_declared_default_is_one_of_the_allowed_values() {
    for declared in ALL.iter() {
        assert!(declared.fits(declared.default), "{} {}", declared.category, declared.name);
        assert!(declared.description.ends_with('.'), "{}", declared.field);
    }
    Values::default();
}

#[test]
fn no_two_settings_have_one_name() {
    let names: std::collections::HashSet<_> = ALL.iter().map(|declared| (declared.category, declared.name)).collect();
    assert_eq!(names.len(), ALL.len());
}

/// The sources of this crate, without those of the table itself.
fn sources() -> String {
    fn read(directory: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else if !path.ends_with("settings/table.rs") && !path.ends_with("settings/tests.rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    text
}

#[test]
fn every_setting_is_read_somewhere() {
    let sources = sources();
    for declared in ALL.iter() {
        assert!(sources.contains(&format!(".{}", declared.field)), "nothing reads {}", declared.field);
    }
}

#[test]
fn the_readme_lists_the_settings_as_they_are() {
    let row = |declared: &Declaration| {
        let Declaration { category, name, default, unit, description, .. } = declared;
        let space = if unit.is_empty() { "" } else { " " };
        format!("| `{category}` `{name}` | `{default}`{space}{unit} | {description} |\n")
    };
    let table: String = ALL.iter().map(row).collect();
    let table =
        format!("<!-- settings -->\n| category and name | default | |\n|---|---|---|\n{table}<!-- /settings -->\n");
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&table), "the README's table must read\n{table}");
}

#[tokio::test]
async fn a_change_is_seen_at_once_and_after_opening_again() {
    let (_dir, store, settings) = opened().await;
    assert_eq!(settings.now().session_timeout.as_secs(), 7200);
    store.write(|tx| set(tx, "identity", "session.timeout", Some("90"))).await.unwrap();
    settings.reload(&store).await.unwrap();
    assert_eq!(settings.now().session_timeout.as_secs(), 90);
    assert_eq!(Settings::open(&store).await.unwrap().now().session_timeout.as_secs(), 90);
    store.write(|tx| set(tx, "identity", "session.timeout", None)).await.unwrap();
    settings.reload(&store).await.unwrap();
    assert_eq!(settings.now().session_timeout.as_secs(), 7200);
}

#[tokio::test]
async fn a_value_out_of_bounds_is_refused_with_the_bounds_and_changes_nothing() {
    let (_dir, store, settings) = opened().await;
    for (category, name, value, remedy) in [
        ("identity", "session.timeout", "59", "60 to 31536000 (seconds)"),
        ("identity", "session.timeout", "an hour", "60 to 31536000 (seconds)"),
        ("kvm", "reservedMemory", "1X", "also written as 512M or 2G"),
        ("vm", "deletionPolicy", "Maybe", "Direct, Delay, Never"),
        ("vm", "cleanTraffic", "yes", "true, false"),
        ("mevoco", "hostAllocatorStrategy", "", "LeastVmPreferredHostAllocatorStrategy"),
        ("mevoco", "overProvisioning.memory", "NaN", "0.01 to 1000"),
        ("identity", "session.colour", "1", "session.timeout, session.maxConcurrent"),
        ("colour", "red", "1", "identity, rest"),
    ] {
        let failure = store.write(move |tx| set(tx, category, name, Some(value))).await.unwrap_err();
        assert!(failure.details.contains(remedy), "{}", failure.details);
    }
    settings.reload(&store).await.unwrap();
    assert_eq!(*settings.now(), Values::default());
}

#[tokio::test]
async fn a_default_that_changes_is_followed_where_nobody_set_another_value() {
    let (_dir, store, _settings) = opened().await;
    let row = |name: &str, default: &str| GlobalConfig {
        category: SettingCategory::Vm,
        name: name.to_owned(),
        description: "d".to_owned(),
        default_value: default.to_owned(),
        value: default.to_owned(),
    };
    let old = [row("kept", "1"), row("chosen", "1"), row("gone", "1")];
    let new = [row("kept", "2"), row("chosen", "2")];
    let rows = store
        .write(move |tx| {
            tx.declare_settings(&old)?;
            tx.set_setting(SettingCategory::Vm, "chosen", "7")?;
            tx.declare_settings(&new)?;
            Ok::<_, Failure>(tx.all::<GlobalConfig>()?)
        })
        .await
        .unwrap();
    let values: Vec<(&str, &str)> = rows.iter().map(|row| (row.name.as_str(), row.value.as_str())).collect();
    assert_eq!(values, [("chosen", "7"), ("kept", "2")]);
}
