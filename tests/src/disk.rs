//! Small file systems of a test's own: in memory, to fill up, and in a file, to freeze. Only root can mount them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::run;

/// A tmpfs of that size, mounted until dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(at: &Path, size: &str) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        run(command("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "weir-small-disk"], at))?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = command("umount", &["-l"], &self.0).status();
    }
}

/// An ext4 in a file, mounted until dropped, whose writes can be held up.
pub struct FreezableDisk(PathBuf);

impl FreezableDisk {
    /// With its file beside `at`.
    pub fn mount(at: &Path, size_bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let image = at.with_extension("img");
        std::fs::File::create(&image)?.set_len(size_bytes)?;
        run(command("mkfs.ext4", &["-q"], &image))?;
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(image).arg(at);
        run(mount)?;
        Ok(Self(at.to_owned()))
    }

    /// From here on, whoever writes waits.
    pub fn freeze(&self) -> Result<()> {
        run(command("fsfreeze", &["--freeze"], &self.0)).map(drop)
    }

    pub fn thaw(&self) -> Result<()> {
        run(command("fsfreeze", &["--unfreeze"], &self.0)).map(drop)
    }
}

impl Drop for FreezableDisk {
    fn drop(&mut self) {
        // Thawed or not: it must be, to be unmounted.
        let _ = self.thaw();
        let _ = command("umount", &["-l"], &self.0).status();
    }
}

fn command(program: &str, arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(path);
    command
}
