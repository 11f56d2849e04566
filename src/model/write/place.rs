//! Where a merged model will stand: it grows beside that place, under a name of its own,
//! and moves there when it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::ModelError;

/// A place that was found free, or may be cleared.
#[derive(Debug)]
pub(in super::super) struct Place {
    path: PathBuf,
    /// Where the model grows.
    partial: PathBuf,
    is_directory: bool,
    /// Whether the partial model is ours, and not whole yet.
    is_growing: bool,
}

impl Place {
    /// Refuses what somebody would miss.
    pub(in super::super) fn new(
        path: &Path,
        is_directory: bool,
        overwrite: bool,
        sources: &[&Path],
    ) -> Result<Self, ModelError> {
        let refuse = |reason: &str| Err(ModelError::write(path, reason));
        let Some(name) = path.file_name() else { return refuse("it names no file") };
        if let Ok(there) = path.canonicalize() {
            let source =
                |source: &&Path| source.canonicalize().is_ok_and(|s| s.starts_with(&there));
            if sources.iter().any(source) {
                return refuse("the base or an adapter lies there");
            }
            match (is_directory, there.is_dir()) {
                (true, true) if is_empty(path) => {}
                (true, true) if !path.join("config.json").is_file() => {
                    return refuse("it is a directory of something else");
                }
                (true, false) => return refuse("a file is there"),
                (false, true) => return refuse("a directory is there"),
                _ if !overwrite => return refuse("it is there already; --force replaces it"),
                _ => {}
            }
        }
        let mut partial = name.to_owned();
        // Nobody else's, so that it may be cleared.
        partial.push(format!(".part-{}", std::process::id()));
        let partial = path.with_file_name(partial);
        Ok(Self { path: path.to_owned(), partial, is_directory, is_growing: false })
    }

    /// Makes room for the model to grow.
    pub(in super::super) fn begin(&mut self) -> Result<&Path, ModelError> {
        if self.partial.exists() {
            let reason = format!("{} is in the way", self.partial.display());
            return Err(ModelError::write(&self.path, reason));
        }
        self.is_growing = true;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let made = match (self.is_directory, parent) {
            (true, _) => fs::create_dir_all(&self.partial),
            (false, Some(parent)) => fs::create_dir_all(parent),
            (false, None) => Ok(()),
        };
        made.map_err(|e| ModelError::write(&self.path, e))?;
        Ok(&self.partial)
    }

    /// The model is whole.
    pub(in super::super) fn finish(mut self) -> Result<(), ModelError> {
        let failed = |e| ModelError::write(&self.path, e);
        if self.is_directory && self.path.exists() {
            let mut old = self.partial.clone().into_os_string();
            old.push(".old");
            let old = PathBuf::from(old);
            fs::rename(&self.path, &old).map_err(failed)?;
            if let Err(error) = fs::rename(&self.partial, &self.path) {
                // The old one is better than none.
                let _ = fs::rename(&old, &self.path);
                return Err(failed(error));
            }
            // The new one stands, whatever is left of the old.
            let _ = fs::remove_dir_all(&old);
        } else {
            fs::rename(&self.partial, &self.path).map_err(failed)?;
        }
        self.is_growing = false;
        Ok(())
    }

    fn clear(&self) {
        // What is not there need not go.
        let _ = match self.is_directory {
            true => fs::remove_dir_all(&self.partial),
            false => fs::remove_file(&self.partial),
        };
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_growing {
            self.clear();
        }
    }
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}
