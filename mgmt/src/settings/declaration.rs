//! What a setting's declaration says, and the macro the table of settings is written with.

use crate::resource::SettingCategory;

/// One setting.
#[derive(Debug)]
pub struct Declaration {
    /// The field of [`super::Values`] that holds it.
    pub field: &'static str,
    /// Its published category.
    pub category: SettingCategory,
    /// Its published name.
    pub name: &'static str,
    /// What it does.
    pub description: String,
    /// The value it has unless somebody set another one.
    pub default: &'static str,
    /// What a number of it counts; empty where that says nothing.
    pub unit: &'static str,
    /// What may be written.
    pub allowed: String,
    pub(super) fits: fn(&str) -> bool,
}

impl Declaration {
    /// Whether the setting may have this value.
    pub fn fits(&self, text: &str) -> bool {
        (self.fits)(text)
    }
}

/// Declares all settings: their documentation, the field that holds each, its kind, category, name, default and limits.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $kind:ty = $category:ident $name:literal, $default:literal, $limits:expr;)*) => {
        /// The values of all settings at one moment.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Values {
            $($(#[doc = $doc])+ pub $field: <$kind as $crate::settings::Kind>::Value,)*
        }

        impl Values {
            /// The values that `stored` knows, and the defaults of those it does not know.
            pub(super) fn read(stored: impl Fn(&$crate::settings::Declaration) -> Option<String>) -> Option<Self> {
                let mut declared = ALL.iter();
                Some(Self {$(
                    $field: {
                        let declaration = declared.next()?;
                        let limits = $limits;
                        stored(declaration)
                            .and_then(|text| <$kind as $crate::settings::Kind>::parse(&text, &limits))
                            .or_else(|| <$kind as $crate::settings::Kind>::parse(declaration.default, &limits))?
                    },
                )*})
            }
        }

        /// The declarations of all settings.
        pub static ALL: std::sync::LazyLock<Vec<$crate::settings::Declaration>> = std::sync::LazyLock::new(|| {
            vec![$($crate::settings::Declaration {
                field: stringify!($field),
                category: $crate::resource::SettingCategory::$category,
                name: $name,
                description: [$($doc),+].map(str::trim).join(" "),
                default: $default,
                unit: <$kind as $crate::settings::Kind>::UNIT,
                allowed: <$kind as $crate::settings::Kind>::allowed(&$limits),
                fits: |text| <$kind as $crate::settings::Kind>::parse(text, &$limits).is_some(),
            },)*]
        });
    };
}

pub(super) use settings;
