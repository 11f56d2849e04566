//! Makes wheels, and a pip that knows only those.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;

/// One entry of a wheel.
pub(crate) enum Entry<'a> {
    /// Path, content, mode.
    File(&'a str, &'a [u8], u32),
    /// Path, target.
    Link(&'a str, &'a str),
}

/// Writes the wheel `package` 1.0 into `dir`.
pub(crate) fn write_wheel(dir: &Path, package: &str, entries: &[Entry<'_>]) -> PathBuf {
    let path = dir.join(format!("{package}-1.0-py3-none-any.whl"));
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    let info = format!("{package}-1.0.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n");
    let tag = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    for (name, text) in [("METADATA", metadata.as_str()), ("WHEEL", tag), ("RECORD", "")] {
        zip.start_file(format!("{info}/{name}"), SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    for entry in entries {
        match *entry {
            Entry::File(name, content, mode) => {
                let options = SimpleFileOptions::default().unix_permissions(mode);
                zip.start_file(name, options).unwrap();
                zip.write_all(content).unwrap();
            }
            Entry::Link(name, target) => {
                zip.add_symlink(name, target, SimpleFileOptions::default()).unwrap();
            }
        }
    }
    zip.finish().unwrap();
    path
}

/// A command that is the machine's Python, but whose pip finds only the wheels
/// in `dir`.
pub(crate) fn python_that_finds_only(dir: &Path) -> String {
    let script = dir.join("python");
    let text = format!(
        "#!/bin/sh\nexport PIP_NO_INDEX=1 PIP_FIND_LINKS='{}'\nexec python3 \"$@\"\n",
        dir.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script.to_str().unwrap().to_owned()
}
