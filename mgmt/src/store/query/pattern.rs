//! Patterns as in MySQL's `LIKE`: `%` stands for any characters or none, `_` for one, `\` takes the next one as it is,
//! and case does not count.
//!
//! SQLite's own `LIKE` ends a text at its first NUL, refuses long patterns, and takes exponential time for some.

use rusqlite::{Connection, functions::FunctionFlags, types::ValueRef};

/// The SQL function `matches(pattern, text)`.
pub const FUNCTION: &str = "matches";

enum Part {
    Character(char),
    One,
    Any,
}

pub struct Pattern(Vec<Part>);

impl Pattern {
    pub fn new(text: &str) -> Self {
        let mut characters = text.chars();
        let mut parts = Vec::new();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '%' => Part::Any,
                '_' => Part::One,
                // With nothing after it, it stands for itself.
                '\\' => Part::Character(characters.next().unwrap_or('\\')),
                other => Part::Character(other),
            });
        }
        Self(parts)
    }

    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut place = 0;
        // Where to go on when what follows the last `%` does not fit here: one character further. An earlier `%` need not
        // be looked at again, since the last one can take whatever it could.
        let mut retry = None;
        loop {
            match self.0.get(place) {
                Some(Part::Any) => {
                    place += 1;
                    retry = Some((place, rest.clone()));
                    continue;
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
                Some(part) => {
                    let Some(next) = rest.next() else { return false };
                    let fits = match part {
                        Part::Character(wanted) => same(*wanted, next),
                        Part::One | Part::Any => true,
                    };
                    if fits {
                        place += 1;
                        continue;
                    }
                }
            }
            let Some((start, mut from)) = retry else { return false };
            if from.next().is_none() {
                return false;
            }
            (place, rest) = (start, from.clone());
            retry = Some((start, from));
        }
    }
}

fn same(one: char, other: char) -> bool {
    one == other
        || if one.is_ascii() && other.is_ascii() {
            one.eq_ignore_ascii_case(&other)
        } else {
            one.to_lowercase().eq(other.to_lowercase())
        }
}

/// Gives a connection the function.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(FUNCTION, 2, flags, |call| {
        let text = match call.get_raw(1) {
            ValueRef::Null => return Ok(None),
            other => other.as_str()?,
        };
        // The same for all rows, so SQLite keeps it.
        let pattern = call.get_or_create_aux(0, |pattern: ValueRef<'_>| pattern.as_str().map(Pattern::new))?;
        Ok(Some(pattern.matches(text)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).matches(text)
    }

    #[test]
    fn percent_and_underscore_stand_for_characters_and_a_backslash_takes_that_away() {
        for (pattern, text) in [
            ("IntelCore%", "IntelCore7"),
            ("IntelCore%", "IntelCore"),
            ("IntelCore_7", "IntelCoreM7"),
            ("intelcore_7", "IntelCoreM7"),
            ("%", ""),
            ("", ""),
            ("%b%b", "abcb"),
            ("100\\%", "100%"),
            ("a\\_b", "a_b"),
            ("a\\\\b", "a\\b"),
            ("a\\", "a\\"),
            ("\\a", "a"),
            ("a%\0b", "a--\0B"),
            ("stra_e", "straße"),
            ("ÄÖ%", "äöü"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("a", ""), ("IntelCore_7", "IntelCore7"), ("100\\%", "1000"), ("a\\_b", "axb"), ("a", "a\0b")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_wildcards_ends_soon() {
        assert!(!matches(&"%a".repeat(2_000), &"a".repeat(1_999)));
        assert!(!matches(&format!("{}b", "%a".repeat(500)), &"a".repeat(5_000)));
    }

    /// The definition, word for word.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|taken| defined(rest, &text[taken..])),
            ['_', rest @ ..] => text.split_first().is_some_and(|(_, text)| defined(rest, text)),
            ['\\', wanted, rest @ ..] | [wanted, rest @ ..] => {
                text.split_first().is_some_and(|(first, text)| first == wanted && defined(rest, text))
            }
        }
    }

    proptest! {
        #[test]
        fn matching_is_as_defined(pattern in r"[ab%_\\]{0,8}", text in r"[ab%_\\]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), defined(&characters(&pattern), &characters(&text)));
        }
    }
}
