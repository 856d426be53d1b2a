//! Recordings drawn while they are written.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::support::{Site, port21};

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command whose output is read as it comes.
struct Following {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Following {
    fn start(mut command: Command) -> Following {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Following { child, lines, seen: String::new() }
    }

    /// Waits for a line that holds this.
    #[track_caller]
    fn until(&mut self, word: &str) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push_str(&(line.clone() + "\n")),
                Err(why) => panic!("no {word:?} ({why}):\n{}", self.seen),
            }
            if self.seen.lines().last().is_some_and(|line| line.contains(word)) {
                return;
            }
        }
    }

    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// All that was printed, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push_str(&(line + "\n"));
        }
        let code = self.child.wait().unwrap().code();
        (std::mem::take(&mut self.seen), code)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(out: ChildStdout) -> Receiver<String> {
    let (to, from) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(out).lines();
        lines.map_while(Result::ok).try_for_each(|line| to.send(line))
    });
    from
}

fn follow(here: &Path, more: &[&str]) -> Following {
    let mut command = port21(here);
    command.args(["trace", "--follow", "s.jsonl", "--width", "100"]).args(more);
    Following::start(command)
}

/// A recording of a whole session.
fn recorded(site: &Site) -> Vec<String> {
    site.run(&["get", "--trace", "whole.jsonl", &site.bob("pub/readme.txt")]).ok();
    let text = std::fs::read_to_string(site.local("whole.jsonl")).unwrap();
    text.lines().map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn rows_are_drawn_as_the_recording_grows_until_the_session_ends() {
    let site = Site::start();
    let whole = recorded(&site);
    let login = whole.iter().position(|line| line.contains(r#""PASS""#)).unwrap();
    let mut file = File::create(site.local("s.jsonl")).unwrap();
    file.write_all(whole[..login].concat().as_bytes()).unwrap();
    let mut following = follow(site.local("").as_path(), &["--fail-on", "note"]);
    following.until("USER bob");
    // A line may come in parts.
    let rest = whole[login..].concat();
    let (some, more) = rest.split_at(20);
    file.write_all(some.as_bytes()).unwrap();
    file.write_all(more.as_bytes()).unwrap();
    following.until("RETR");
    let (seen, code) = following.end();
    assert!(seen.contains("The session has ended: the") && seen.contains("clear-password"), "{seen}");
    assert!(!seen.contains("secret") && !seen.contains('\x1b') && seen.matches("USER bob").count() == 1, "{seen}");
    assert_eq!(code, Some(8), "a password in clear text is a note");
}

#[test]
fn interrupting_says_that_the_session_goes_on() {
    let site = Site::start();
    let whole = recorded(&site);
    let login = whole.iter().position(|line| line.contains(r#""PASS""#)).unwrap();
    std::fs::write(site.local("s.jsonl"), whole[..login].concat()).unwrap();
    let mut following = follow(site.local("").as_path(), &[]);
    following.until("331");
    following.interrupt();
    let (seen, code) = following.end();
    assert!(seen.contains("The session had not ended"), "{seen}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_recording_that_is_cut_or_replaced_is_read_on() {
    let site = Site::start();
    let whole = recorded(&site);
    let login = whole.iter().position(|line| line.contains(r#""PASS""#)).unwrap();
    let begin = whole[..login].concat();
    // What a program left half written.
    std::fs::write(site.local("s.jsonl"), format!("{begin}{}", &whole[login][..30])).unwrap();
    let mut following = follow(site.local("").as_path(), &[]);
    following.until("USER bob");
    let file = OpenOptions::new().write(true).truncate(true).open(site.local("s.jsonl")).unwrap();
    drop(file);
    // Only once that was seen it is written to again: else it might have its old length before it is looked at.
    let about = site.local("s.jsonl");
    let mut file = OpenOptions::new().append(true).open(&about).unwrap();
    file.write_all(whole[0].as_bytes()).unwrap();
    file.write_all(whole[1..login].concat().replace("bob", "ben").as_bytes()).unwrap();
    following.until("USER ben");
    std::fs::write(site.local("next.jsonl"), whole.concat().replace("bob", "eve")).unwrap();
    std::fs::rename(site.local("next.jsonl"), &about).unwrap();
    following.until("USER eve");
    following.interrupt();
    let (seen, code) = following.end();
    assert!(seen.contains("Session 3"), "{seen}");
    assert_eq!(code, Some(0), "{seen}");
}

#[test]
fn what_cannot_be_followed_is_said() {
    let site = Site::start();
    site.run(&["trace", "--follow", "none.jsonl"]).fails(1);
    site.run(&["trace", "--follow", "a.jsonl", "b.jsonl"]).fails(2);
    let error = site.feed(&["trace", "--follow", "-"], "no recording\n").fails(1);
    assert!(error.contains("not a port21 recording"), "{error}");
    let whole = recorded(&site).concat();
    let piped = site.feed(&["trace", "--follow", "-", "--session", "1"], &whole).ok();
    assert!(piped.contains("RETR pub/readme.txt"), "{piped}");
}
