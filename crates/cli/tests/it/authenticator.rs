//! A server whose accounts a program knows, with and without the sandbox.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::support::{Site, feed};

/// Lets `ann` in by her password, to a home of her own; what `eve` has is elsewhere; for `late` it never ends, and for `ill`
/// it fails. It takes down what it was told.
const SCRIPT: &str = r#"#!/bin/sh
read -r question
echo "$question" >> "$1/questions"
case $question in
    *'"user":"ann","password":"opensesame"'*) echo '{"login": true, "home": "/ann", "permissions": ["all"], "quota": "1KiB"}' ;;
    *'"user":"eve","password":"opensesame"'*) echo '{"login": true, "home": "/out"}' ;;
    *'"user":"late"'*) exec sleep 1000 ;;
    *'"user":"ill"'*) echo "$question"; exit 7 ;;
    *) echo '{"login": false}' ;;
esac
"#;

struct Place {
    dir: TempDir,
    site: Site,
}

impl Place {
    fn start(sandbox: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let script = dir.path().join("login");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (config, log) = (dir.path().join("port21.toml"), dir.path().join("log/port21.log"));
        std::fs::create_dir(dir.path().join("log")).unwrap();
        // A shell of its own, as a file that was just written may be busy for as long as another test's child has it open.
        let text = format!(
            "log.file = {log:?}\n[authenticator]\nprogram = [\"/bin/sh\", {script:?}, {:?}]\ntimeout = \"2s\"\n\
             [logins]\ndelay = \"0s\"\naddress-failures = 0\n",
            dir.path()
        );
        std::fs::write(&config, text).unwrap();
        let site = Site::with_flags(&["--config", config.to_str().unwrap(), "--sandbox", sandbox]);
        Place { dir, site }
    }

    fn url(&self, name: &str, password: &str, path: &str) -> String {
        self.site.bob(path).replace("bob:secret", &format!("{name}:{password}"))
    }

    /// All that the program was told.
    fn questions(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("questions")).unwrap_or_default()
    }

    /// Ends the server: what it has logged.
    fn log(self) -> String {
        kill_process(Pid::from_child(self.site.server()), Signal::TERM).unwrap();
        assert_eq!(self.site.wait(), Some(0));
        std::fs::read_to_string(self.dir.path().join("log/port21.log")).unwrap()
    }

    fn remote(&self, path: &str) -> PathBuf {
        self.site.remote(path)
    }

    /// The reply to PASS.
    fn login(&self, user: &str, password: &str) -> String {
        let mut stream = BufReader::new(TcpStream::connect(self.site.address()).unwrap());
        let mut reply = String::new();
        for line in [format!("USER {user}\r\n"), format!("PASS {password}\r\n"), String::new()] {
            reply.clear();
            while reply.as_bytes().get(3) != Some(&b' ') {
                reply.clear();
                assert_ne!(stream.read_line(&mut reply).unwrap(), 0, "the server has hung up");
            }
            stream.get_mut().write_all(line.as_bytes()).unwrap();
        }
        reply
    }
}

fn lets_in_whom_the_program_lets_in(sandbox: &str) {
    let place = Place::start(sandbox);
    std::fs::write(place.site.local("small"), [1; 900]).unwrap();
    std::fs::write(place.site.local("large"), [1; 1100]).unwrap();
    place.site.run(&["put", "small", &place.url("ann", "opensesame", "small")]).ok();
    assert_eq!(std::fs::read(place.remote("ann/small")).unwrap().len(), 900);
    place.site.run(&["put", "large", &place.url("ann", "opensesame", "large")]).fails(6);

    // Unknown names and wrong passwords are one.
    let refused = place.login("ann", "wrong");
    assert!(refused.starts_with("530 "), "{refused}");
    assert_eq!(refused, place.login("nobody", "wrong"));
    // Those whom the server knows itself are not its business.
    place.site.run(&["ls", &place.site.bob("")]).ok();
    assert!(!place.questions().contains("\"bob\""));

    // Nobody gets in where there is no answer, and nothing secret is logged of it.
    for name in ["ill", "late"] {
        let reply = place.login(name, "hunter2");
        assert!(reply.starts_with("421 "), "{name}: {reply}");
    }
    assert!(place.questions().contains(r#""peer":"127.0.0.1","tls":false"#), "{}", place.questions());
    let log = place.log();
    assert!(log.contains("it has ended with exit status: 7") && log.contains("longer than its `timeout`"), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("opensesame"), "{log}");
}

#[test]
fn lets_in_whom_the_program_lets_in_without_a_sandbox() {
    lets_in_whom_the_program_lets_in("off");
}

#[test]
fn lets_in_whom_the_program_lets_in_behind_the_sandbox() {
    lets_in_whom_the_program_lets_in("try");
}

#[test]
fn a_home_that_leads_out_of_the_sandbox_is_refused_by_name() {
    let place = Place::start("try");
    let elsewhere = place.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.remote("out")).unwrap();
    let told = format!("{} is outside of the sandbox", elsewhere.canonicalize().unwrap().display());
    let reply = place.login("eve", "opensesame");
    assert!(reply.starts_with("421 "), "{reply}");
    let log = place.log();
    assert!(log.contains(&told), "{log}");
}

/// The script of docs/operating.md, with its example of a file.
#[test]
fn the_example_works() {
    let manual = include_str!("../../../../docs/operating.md");
    let block = |start: &str| manual.split(start).nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (script, accounts) = (dir.path().join("login"), dir.path().join("accounts.json"));
    std::fs::write(&script, block("```python\n")).unwrap();
    std::fs::write(&accounts, block("```json accounts\n")).unwrap();
    let ask = |user: &str, password: &str| {
        let question = serde_json::json!({"user": user, "password": password, "peer": "192.0.2.1", "tls": true});
        let mut command = Command::new("python3");
        command.arg("-I").arg(&script).arg(&accounts);
        serde_json::from_str::<serde_json::Value>(&feed(command, &question.to_string()).ok()).unwrap()
    };
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3");
        return;
    }
    let account = serde_json::json!({"login": true, "home": "/ann", "permissions": ["all"], "quota": "10GiB"});
    assert_eq!(ask("ann", "correct horse"), account);
    for (user, password) in [("ann", "wrong"), ("ann", ""), ("bob", "correct horse")] {
        assert_eq!(ask(user, password), serde_json::json!({"login": false}));
    }
}
