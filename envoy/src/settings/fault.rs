//! What is wrong with the settings: all of it at once.

use std::fmt;

/// One thing that is wrong, and what to do about it. Never carries a secret's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting: a variable's name, or the path of a key in the file (`issuers[0].audiences`).
    pub key: String,
    /// What was seen and what to do.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// Every fault of one reading of the settings; `Display` gives one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.0.push(Fault { key: key.into(), text: text.into() });
    }

    /// Keeps the value of a good result and the fault of a bad one.
    pub(crate) fn keep<T>(&mut self, key: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| self.add(key, text)).ok()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
