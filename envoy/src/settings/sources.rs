//! Where the settings come from: the environment, secret files, the YAML file. The
//! environment wins over the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use attach_filter::config::Secret;

use super::fault::Faults;
use super::file::{self, File};
use super::names::{self, Kind, NAMES};

/// All settings as text, and what was wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    values: BTreeMap<&'static str, String>,
    /// Lists that only the file has.
    pub file: File,
    /// Everything wrong; readers add to it.
    pub faults: Faults,
}

impl Sources {
    /// Sorts the environment and reads the files that it names.
    pub(crate) fn read(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut sources = Self::default();
        let mut secret_files = BTreeMap::new();
        let mut variables: Vec<_> = environment.into_iter().collect();
        // In the order of names, so that faults are; of two equal names the later wins.
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (variable, value) in variables {
            sources.take_variable(&variable.to_string_lossy(), value, &mut secret_files);
        }
        for (name, path) in secret_files {
            sources.take_secret_file(name, &path);
        }
        if let Some(path) = sources.values.get("ATTACH_CONFIG").map(PathBuf::from) {
            let mut file = file::read(&path, &mut sources.faults);
            for (name, text) in std::mem::take(&mut file.settings) {
                // An empty value in the file means what it means in the environment: unset.
                if !text.is_empty() || name == EMPTY_MEANS_NONE {
                    sources.values.entry(name).or_insert(text);
                }
            }
            sources.file = file;
        }
        sources
    }

    fn take_variable(
        &mut self,
        variable: &str,
        value: OsString,
        secret_files: &mut BTreeMap<&'static str, PathBuf>,
    ) {
        let kind = names::kind_of(variable);
        if matches!(kind, Kind::Foreign) || (value.is_empty() && variable != EMPTY_MEANS_NONE) {
            return;
        }
        match kind {
            Kind::Setting(name) => match value.into_string() {
                Ok(text) => drop(self.values.insert(name.name, text)),
                Err(_) => self.faults.add(variable, "is not UTF-8 text"),
            },
            Kind::SecretFile(name) => drop(secret_files.insert(name.name, PathBuf::from(value))),
            Kind::Unknown => self.unknown(variable),
            Kind::Foreign => {}
        }
    }

    fn unknown(&mut self, variable: &str) {
        let text = match variable.strip_suffix("_FILE").and_then(names::find) {
            Some(name) => {
                format!("is no setting; only secrets can be given as files: set {}", name.name)
            }
            None => match names::nearest(variable, NAMES.iter().map(|name| name.name)) {
                Some(nearest) => format!("is no setting; did you mean {nearest}?"),
                None => "is no setting".to_owned(),
            },
        };
        self.faults.add(variable, text);
    }

    fn take_secret_file(&mut self, name: &'static str, path: &Path) {
        let variable = format!("{name}_FILE");
        if self.values.contains_key(name) {
            self.faults.add(variable, format!("{name} is set too; set one of them"));
            return;
        }
        match std::fs::read_to_string(path) {
            // Editors and `echo` end a file with a line break that is no part of the secret.
            Ok(text) => match text.trim_end_matches(['\r', '\n']) {
                "" => self.faults.add(variable, format!("{} is empty", path.display())),
                text => drop(self.values.insert(name, text.to_owned())),
            },
            Err(error) => {
                self.faults.add(variable, format!("cannot read {}: {error}", path.display()))
            }
        }
    }

    /// The text of a setting, if it is set.
    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        debug_assert!(names::find(name).is_some(), "{name}");
        self.values.get(name).map(String::as_str)
    }

    /// The value of a setting; none if it is unset or bad (then its fault is kept).
    pub(crate) fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let result = self.text(name).map(parse)?;
        self.faults.keep(name, result)
    }

    /// The value of a setting, or its default.
    pub(crate) fn value_or<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        self.value(name, parse).unwrap_or(default)
    }

    /// A secret as it was given.
    pub(crate) fn secret(&self, name: &'static str) -> Option<Secret> {
        self.text(name).map(|text| Secret(text.to_owned()))
    }

    /// A file that must be readable.
    pub(crate) fn readable(&mut self, name: &'static str) -> Option<PathBuf> {
        self.value(name, readable)
    }
}

/// `OIDC_SCOPES=` means that no scope is asked for; every other empty variable is unset.
const EMPTY_MEANS_NONE: &str = "OIDC_SCOPES";

/// A file that can be opened, by its absolute path: Envoy's working directory need not be ours.
pub(crate) fn readable(text: &str) -> Result<PathBuf, String> {
    let readable = std::fs::File::open(text).and_then(|_| std::path::absolute(text));
    readable.map_err(|error| format!("cannot read {text}: {error}"))
}
