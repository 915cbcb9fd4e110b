//! A disk that can be filled, under the ledger of a server that strace runs.

use std::ffi::OsString;
use std::path::PathBuf;

use super::World;
use super::strace::Strace;

/// The folder of the ledger. strace lets no write into `full` succeed, and finds out the name of an open file's folder at
/// each write; so there is room as long as the folder is called otherwise.
pub(crate) struct Disk {
    room: PathBuf,
    full: PathBuf,
}

impl Disk {
    /// A world with its ledger on such a disk, on which there is room.
    pub(crate) fn under(world: World) -> (World, Self) {
        let folder = world.dir.path().canonicalize().expect("a path");
        let disk = Self { room: folder.join("disk"), full: folder.join("full") };
        std::fs::create_dir(&disk.room).expect("a folder");
        let program = disk.program();
        (world.set("LEDGER_PATH", "disk/parlante.db").program(program), disk)
    }

    fn program(&self) -> Vec<OsString> {
        Strace::find().failing("pwrite64", &self.full.join("parlante.db-wal"), "ENOSPC", "1+")
    }

    pub(crate) fn fill(&self) {
        std::fs::rename(&self.room, &self.full).expect("a rename");
        // Whatever is opened by its path is still found.
        std::os::unix::fs::symlink(&self.full, &self.room).expect("a link");
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(&self.room).expect("a link");
        std::fs::rename(&self.full, &self.room).expect("a rename");
    }
}
