//! The server and its clients are killed in the middle of uploads, as processes are: by `kill -9`. Under the name there is
//! then the old file or the whole new one, and what came of a new one can be gone on with.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::support::{port21, serve};

/// When the process is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// So many bytes of the upload were sent, and whatever came of them.
    Sent(usize),
    /// So many were written.
    Written(usize),
    /// All were sent, the data connection has ended, and so many times the client has let others run.
    Ended(u32),
    /// The client was told that it is complete.
    Complete,
}

const SIZE: usize = 400_000;

/// Every byte differs from the one of the old file in its place.
fn whole() -> Vec<u8> {
    (0..SIZE).map(|n| u8::try_from(n / 7 % 200).unwrap()).collect()
}

fn old() -> Vec<u8> {
    vec![255; SIZE / 2]
}

/// From the first byte to behind the last reply. The steps of the end lie microseconds to milliseconds apart: the more
/// kills, the more of them are met.
fn points() -> Vec<Point> {
    let sent = [0, 1, 70_000, SIZE - 1].map(Point::Sent);
    let written = [1, 100_000, SIZE].map(Point::Written);
    let ended = [0, 1, 3, 10, 30, 60, 100, 200, 400, 800].map(Point::Ended);
    [&sent[..], &written, &ended, &[Point::Complete]].concat()
}

#[test]
fn kill_9_of_the_server_anywhere_leaves_the_old_file_or_the_whole_new_one() {
    for commit in ["durable", "atomic"] {
        for point in points() {
            let site = Site::new();
            site.write("file", &old());
            let complete = killed_during_upload(&site, commit, point);
            let found = site.read("file");
            assert!(found == whole() || !complete && found == old(), "{commit}, {point:?}: {} bytes", found.len());
        }
    }
}

#[test]
fn what_kill_9_of_the_server_has_left_of_a_new_file_is_gone_on_with() {
    for commit in ["durable", "atomic"] {
        for (n, point) in points().into_iter().enumerate() {
            let site = Site::new();
            let complete = killed_during_upload(&site, commit, point);
            if site.at("file").exists() {
                assert!(site.read("file") == whole(), "{commit}, {point:?}");
                continue;
            }
            assert!(!complete, "{commit}, {point:?}: it was told to be there");
            let mut server = Server::start(&site, commit);
            let mut raw = server.log_in();
            let part = raw.size("file");
            match (point, part) {
                (Point::Written(bytes), part) => assert!(part.unwrap_or(0) >= bytes, "{commit}, {point:?}: {part:?}"),
                (Point::Ended(_), part) => assert_eq!(part, Some(SIZE), "{commit}, {point:?}"),
                _ => {}
            }
            let (command, rest) = match part {
                None => ("STOR file", whole()),
                Some(there) if n % 2 == 0 => {
                    raw.command(&format!("REST {there}"), "350");
                    ("STOR file", whole().split_off(there))
                }
                Some(there) => ("APPE file", whole().split_off(there)),
            };
            raw.store(command, &rest);
            assert!(site.read("file") == whole(), "{commit}, {point:?}: gone on with from {part:?}");
            assert_eq!(site.names(), ["file"], "{commit}, {point:?}");
            server.kill();
        }
    }
}

/// The system ends the connections of a process that is killed in the order last to first: the data connection's end comes
/// while the control connection still stands. How long that is, is nobody's to say, so here the server waits long for it;
/// and as it waits for no longer than a part of the time that the upload took, that takes a while.
#[test]
fn kill_9_of_a_client_leaves_the_old_file_or_what_came() {
    let bytes = whole();
    for over in [false, true] {
        let site = Site::new();
        if over {
            site.write("file", &old());
        }
        let config = site.home.path().join("port21.toml");
        std::fs::write(&config, "[uploads]\ngrace = \"10s\"\n").unwrap();
        let mut server = Server::with_flags(&site, "atomic", &["--config", config.to_str().unwrap()]);
        let mut command = port21(site.home.path());
        command.args(["put", "-", &format!("ftp://bob:secret@{}/file", server.address)]);
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        let (began, mut sent) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_millis(500) || sent < SIZE / 4 {
            let more = (SIZE - 1 - sent).min(1 + sent / 4);
            input.write_all(&bytes[sent..sent + more]).unwrap();
            sent += more;
            while site.written() < sent as u64 {
                assert!(client.try_wait().unwrap().is_none(), "the client has ended");
                std::thread::yield_now();
            }
        }
        client.kill().unwrap();
        client.wait().unwrap();
        drop(input);
        let mut raw = server.log_in();
        // Until it has gone, the name is not free for the next.
        let mut data = loop {
            if !over {
                assert_eq!(raw.size("file"), Some(sent));
                raw.command(&format!("REST {sent}"), "350");
            }
            if let Some(data) = raw.begins("STOR file") {
                break data;
            }
        };
        if over {
            assert!(site.read("file") == old());
            sent = 0;
        }
        data.write_all(&bytes[sent..]).unwrap();
        drop(data);
        raw.expect("226");
        assert!(site.read("file") == bytes);
        server.kill();
    }
}

/// Begins an upload of [`whole`] to `file` and kills the server at this point. Tells whether the client was told that the
/// upload is complete.
fn killed_during_upload(site: &Site, commit: &str, point: Point) -> bool {
    let mut server = Server::start(site, commit);
    let mut raw = server.log_in();
    let mut data = raw.begins("STOR file").unwrap();
    let bytes = whole();
    match point {
        Point::Sent(count) => data.write_all(&bytes[..count]).unwrap(),
        Point::Written(count) => {
            data.write_all(&bytes[..count]).unwrap();
            while site.written() < count as u64 {
                std::thread::yield_now();
            }
        }
        Point::Ended(times) => {
            data.write_all(&bytes).unwrap();
            while site.written() < SIZE as u64 {
                std::thread::yield_now();
            }
            data.shutdown(std::net::Shutdown::Write).unwrap();
            (0..times).for_each(|_| std::thread::yield_now());
        }
        Point::Complete => {
            data.write_all(&bytes).unwrap();
            drop(data);
            raw.expect("226");
            server.kill();
            return true;
        }
    }
    server.kill();
    // Whatever it has said before it died.
    raw.next_reply().is_some_and(|reply| reply.starts_with("226"))
}

/// A directory to serve, and one to be at home in.
struct Site {
    root: TempDir,
    home: TempDir,
}

impl Site {
    fn new() -> Site {
        Site { root: tempfile::tempdir().unwrap(), home: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// How many bytes of an upload are in its hidden file.
    fn written(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir(self.root.path()) else { return 0 };
        let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".port21-"));
        let mut aside = entries.map(|entry| entry.unwrap().path()).filter(|path| hidden(path));
        match aside.next() {
            Some(path) => path.metadata().map_or(0, |meta| meta.len()),
            None => 0,
        }
    }
}

/// A server process.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(site: &Site, commit: &str) -> Server {
        Server::with_flags(site, commit, &[])
    }

    fn with_flags(site: &Site, commit: &str, flags: &[&str]) -> Server {
        let (process, address) = serve(site.root.path(), site.home.path(), commit, flags);
        Server { process, address }
    }

    fn log_in(&self) -> Raw {
        let mut raw = Raw { control: BufReader::new(TcpStream::connect(&self.address).unwrap()) };
        raw.expect("220");
        raw.command("USER bob", "331");
        raw.command("PASS secret", "230");
        raw.command("TYPE I", "200");
        raw
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that speaks raw lines.
struct Raw {
    control: BufReader<TcpStream>,
}

impl Raw {
    fn next_reply(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.control.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.as_bytes().get(3) == Some(&b' ') && !line.starts_with(' ') {
                return Some(line);
            }
        }
    }

    #[track_caller]
    fn expect(&mut self, code: &str) -> String {
        let reply = self.next_reply().unwrap_or_default();
        assert!(reply.starts_with(code), "{reply:?}");
        reply
    }

    fn say(&mut self, line: &str) {
        self.control.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn command(&mut self, line: &str, code: &str) -> String {
        self.say(line);
        self.expect(code)
    }

    fn size(&mut self, name: &str) -> Option<usize> {
        self.say(&format!("SIZE {name}"));
        let reply = self.next_reply().unwrap();
        reply.strip_prefix("213 ").map(|size| size.trim().parse().unwrap())
    }

    /// The data connection of an upload that begins; nothing where its file is busy.
    fn begins(&mut self, command: &str) -> Option<TcpStream> {
        let reply = self.command("EPSV", "229");
        let port = port21_proto::addr::parse_epsv(reply.trim_end().as_bytes()).unwrap();
        let data = TcpStream::connect((self.control.get_ref().peer_addr().unwrap().ip(), port)).unwrap();
        self.say(command);
        let reply = self.next_reply().unwrap();
        if reply.starts_with("450") {
            return None;
        }
        assert!(reply.starts_with("150"), "{reply:?}");
        Some(data)
    }

    fn store(&mut self, command: &str, bytes: &[u8]) {
        let mut data = self.begins(command).unwrap();
        data.write_all(bytes).unwrap();
        drop(data);
        self.expect("226");
    }
}
