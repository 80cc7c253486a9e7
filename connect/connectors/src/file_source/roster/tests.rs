//! The decisions alone: a disk of slices, sightings as a scan would give them.

use std::path::Path;

use super::*;

/// Paths, inodes and contents; a `.gz` holds what it would decompress to.
#[derive(Default)]
struct Disk(BTreeMap<PathBuf, (u64, Vec<u8>)>);

struct Bytes(Vec<u8>);

impl Look for Bytes {
    fn look(&mut self, position: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
        let (from, to) = (usize::try_from(position).unwrap(), usize::try_from(position + length).unwrap());
        Ok(self.0.get(from..to).map(<[u8]>::to_vec))
    }
}

impl Files for Disk {
    fn open(&mut self, path: &Path, _is_gzip: bool) -> io::Result<Box<dyn Look>> {
        let (_, bytes) = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Bytes(bytes.clone())))
    }
}

struct Scene {
    disk: Disk,
    roster: Roster,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        Self { disk: Disk::default(), roster: Roster::default(), now: Instant::now() }
    }

    fn put(&mut self, path: &str, inode: u64, text: &str) {
        self.disk.0.insert(path.into(), (inode, text.as_bytes().to_vec()));
    }

    fn rename(&mut self, from: &str, to: &str) {
        let file = self.disk.0.remove(Path::new(from)).unwrap();
        self.disk.0.insert(to.into(), file);
    }

    fn look(&mut self) {
        self.now += Duration::from_secs(2);
        let sightings: Vec<Sighting> = self
            .disk
            .0
            .iter()
            .map(|(path, (inode, bytes))| Sighting {
                path: path.clone(),
                key: FileKey { device: 1, inode: *inode },
                stored_bytes: bytes.len() as u64,
                modified: SystemTime::UNIX_EPOCH,
                is_gzip: path.extension().is_some_and(|extension| extension == "gz"),
                is_named: true,
            })
            .collect();
        self.roster.observe(self.now, &sightings, NewFiles { at_end: false, not_before: None }, &mut self.disk);
    }

    /// Marks the file at `path` as read to its end.
    fn read(&mut self, path: &str) {
        let (inode, bytes) = self.disk.0[Path::new(path)].clone();
        let key = FileKey { device: 1, inode };
        let head = &bytes[..bytes.len().min(1024)];
        let mark = mark_at(key, head, bytes.len() as u64, &mut Bytes(bytes.clone())).unwrap();
        let id = self.roster.bound[&key];
        self.roster.streams.get_mut(&id).unwrap().mark = mark;
    }

    /// Path and position of every stream that has a file, by path.
    fn followed(&self) -> Vec<(String, u64)> {
        let bound = self.roster.streams.values().filter(|stream| stream.presence == Presence::Present);
        let mut followed: Vec<_> = bound.map(|s| (s.path.display().to_string(), s.mark.position)).collect();
        followed.sort();
        followed
    }
}

fn at(path: &str, position: u64) -> (String, u64) {
    (path.to_owned(), position)
}

#[test]
fn a_renamed_file_is_the_same_and_the_one_in_its_place_is_new_and_waits_for_it() {
    let mut scene = Scene::new();
    scene.put("a.log", 1, "one\n");
    scene.look();
    scene.read("a.log");
    scene.rename("a.log", "a.log.1");
    scene.put("a.log", 2, "two\n");
    scene.look();
    assert_eq!(scene.followed(), [at("a.log", 0), at("a.log.1", 4)]);
    let old = scene.roster.bound[&FileKey { device: 1, inode: 1 }];
    assert!(scene.roster.streams.values().any(|stream| stream.follows == Some(old)));
}

#[test]
fn a_copy_is_held_while_the_original_is_whole_and_followed_once_it_is_not() {
    let mut scene = Scene::new();
    scene.put("a.log", 1, "one\n");
    scene.look();
    scene.read("a.log");
    scene.put("a.log", 1, "one\ntwo\n");
    scene.put("a.log.1", 2, "one\ntwo\n");
    scene.look();
    assert_eq!(scene.followed(), [at("a.log", 4)], "the copy is no file of its own");
    scene.put("a.log", 1, "");
    scene.look();
    assert_eq!(scene.followed(), [at("a.log.1", 4)], "what is left to read is in the copy");
    scene.put("a.log", 1, "three\n");
    scene.look();
    assert_eq!(scene.followed(), [at("a.log", 0), at("a.log.1", 4)]);
}

#[test]
fn a_copy_that_lacks_the_last_lines_read_from_the_original_is_done_with() {
    let mut scene = Scene::new();
    scene.put("a.log", 1, "one\n");
    scene.look();
    scene.put("a.log.1", 2, "one\n");
    scene.put("a.log", 1, "one\ntwo\n");
    scene.look();
    scene.read("a.log");
    scene.put("a.log", 1, "");
    scene.look();
    assert_eq!(scene.followed(), [at("a.log.1", 4)]);
}

#[test]
fn the_compressed_form_takes_the_place_of_the_file_that_is_gone() {
    let mut scene = Scene::new();
    scene.put("a.log.1", 1, "one\n");
    scene.look();
    scene.read("a.log.1");
    scene.put("a.log.1.gz", 2, "one\n");
    scene.look();
    scene.look();
    assert_eq!(scene.followed(), [at("a.log.1", 4)]);
    scene.disk.0.remove(Path::new("a.log.1"));
    scene.look();
    let id = scene.roster.bound[&FileKey { device: 1, inode: 1 }];
    scene.roster.lose(id, Presence::Gone { since: scene.now });
    scene.look();
    assert_eq!(scene.followed(), [at("a.log.1.gz", 4)]);
}

#[test]
fn an_inode_with_other_content_is_another_file() {
    let mut scene = Scene::new();
    scene.put("a.log", 1, "one\n");
    scene.look();
    scene.read("a.log");
    let id = scene.roster.bound[&FileKey { device: 1, inode: 1 }];
    scene.roster.lose(id, Presence::Gone { since: scene.now });
    scene.put("a.log", 1, "two and more\n");
    scene.look();
    assert_eq!(scene.followed(), [at("a.log", 0)]);
    assert_eq!(scene.roster.streams.len(), 2);
}

#[test]
fn a_short_file_with_another_name_and_the_same_first_line_is_another_file() {
    let mut scene = Scene::new();
    scene.put("a.log", 1, "started\n");
    scene.look();
    scene.read("a.log");
    scene.disk.0.remove(Path::new("a.log"));
    scene.look();
    let id = scene.roster.bound[&FileKey { device: 1, inode: 1 }];
    scene.roster.lose(id, Presence::Gone { since: scene.now });
    scene.put("b.log", 2, "started\n");
    scene.look();
    assert_eq!(scene.followed(), [at("b.log", 0)]);
}

#[test]
fn of_two_marks_of_one_stream_the_farther_counts() {
    let mut scene = Scene::new();
    let (id, path) = (StreamId(7), PathBuf::from("a.log"));
    let mark = |position| Mark {
        key: FileKey { device: 1, inode: 1 },
        prefix: Fingerprint::EMPTY,
        position,
        tail: Fingerprint::EMPTY,
    };
    for position in [5, 9, 3] {
        let partition = identity::partition(id, &path);
        scene.roster.remember(scene.now, id, partition, path.clone(), mark(position));
    }
    assert_eq!(scene.roster.streams[&id].mark.position, 9);
}
