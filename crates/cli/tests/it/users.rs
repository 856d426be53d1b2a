//! `port21 user`, and a server with the accounts that it keeps.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::operations::{PATIENCE, Service, Session};
use super::support::{Ran, Site, feed, port21};

/// A command on a file of accounts, with this password on standard input.
fn user(file: &Path, args: &[&str], password: &str) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let mut command = port21(home.path());
    command.arg("user").args(args).arg("--users").arg(file);
    feed(command, password)
}

fn accounts() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.toml");
    (dir, file)
}

#[test]
fn accounts_are_added_changed_listed_and_removed() {
    let (_dir, file) = accounts();
    let fields =
        ["--permissions", "list,read,write", "--quota", "1MiB", "--path", "/in/**=write", "--networks", "127.0.0.0/8"];
    user(&file, &[&["add", "ann", "--password-stdin", "--home", "ann"], &fields[..]].concat(), "opensesame\n").ok();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("$argon2id$") && !text.contains("opensesame"), "{text}");

    assert!(user(&file, &["add", "ann", "--no-password"], "").fails(2).contains("already"));
    assert!(user(&file, &["add", "ftp", "--no-password"], "").fails(2).contains("guest"));
    assert!(user(&file, &["add", "bob"], "").fails(2).contains("--password-stdin"));
    assert!(user(&file, &["add", "bob", "--password-stdin"], "\n").fails(2).contains("not empty"));
    assert!(user(&file, &["add", "bob", "--no-password", "--home", "../x"], "").fails(2).contains("home"));
    assert!(user(&file, &["passwd", "bob", "--no-password"], "").fails(2).contains("no account bob"));

    let json: serde_json::Value = serde_json::from_str(&user(&file, &["list", "--json"], "").ok()).unwrap();
    assert_eq!(json[0]["name"], "ann");
    assert_eq!((&json[0]["quota"], &json[0]["has-password"]), (&"1MiB".into(), &true.into()));
    assert!(json[0].get("password").is_none());
    user(&file, &["change", "ann", "--quota", "2MiB", "--disabled"], "").ok();
    let list = user(&file, &["list"], "").ok();
    assert!(list.starts_with("ann  ") && list.contains("quota=2MiB") && list.contains("disabled=true"), "{list}");
    assert!(list.contains("home=ann") && !list.contains('$'), "{list}");

    user(&file, &["change", "ann", "--unset", "quota,disabled,networks", "--home", "other"], "").ok();
    let list = user(&file, &["list"], "").ok();
    assert!(["quota", "disabled", "networks"].iter().all(|key| !list.contains(key)), "{list}");
    assert!(list.contains("home=other") && list.contains("permissions="), "{list}");
    assert!(user(&file, &["change", "ann", "--unset", "quotas"], "").fails(2).contains("there is no `quotas`"));
    assert!(user(&file, &["change", "ann", "--home", "a\nb"], "").fails(2).contains("control characters"));

    // What replaces all rules says which are gone.
    let told = user(&file, &["change", "ann", "--path", "/out/**=read"], "").ok();
    assert!(told.contains("Its rule /in/**=write is gone."), "{told}");
    let told = user(&file, &["change", "ann", "--path", "/out/**=read", "--path", "/in=list"], "").ok();
    assert_eq!(told, "Changed ann.\n");

    user(&file, &["remove", "ann"], "").ok();
    assert_eq!(user(&file, &["list"], "").ok(), "");
    let told = user(&file, &["add", "eve", "--no-password"], "").ok();
    assert!(told.contains("all of the root, with the homes of other accounts"), "{told}");
    let told = user(&file, &["add", "fay", "--no-password", "--home", "fay"], "").ok();
    assert!(!told.contains("all of the root"), "{told}");
    user(&file, &["remove", "eve"], "").ok();
    user(&file, &["remove", "fay"], "").ok();
    user(&file, &["remove", "ann"], "").fails(2);
}

#[test]
fn the_password_can_come_from_the_environment() {
    let (dir, file) = accounts();
    let mut command = port21(dir.path());
    command.args(["user", "add", "ann", "--users"]).arg(&file).env("PORT21_PASSWORD", "opensesame");
    Ran::new(command.output().unwrap()).ok();
    assert!(std::fs::read_to_string(&file).unwrap().contains("$argon2id$"));
}

#[test]
fn the_file_is_found_by_the_configuration() {
    let (dir, file) = accounts();
    std::fs::write(dir.path().join("port21.toml"), "[anonymous]\nenabled = true\n").unwrap();
    let run = |args: &[&str]| Ran::new(port21(dir.path()).args(args).output().unwrap());
    run(&["user", "add", "ann", "--no-password", "--config", "port21.toml"]).ok();
    assert!(file.exists());
    assert!(run(&["user", "list", "--config", "port21.toml"]).ok().starts_with("ann"));
    assert!(run(&["user", "list", "--config", "nowhere.toml"]).fails(1).contains("--users"));
}

/// As `config check` has it, of that account.
#[test]
fn homes_within_homes_are_told_when_they_come_to_be() {
    let (dir, _) = accounts();
    let text = format!("[site]\nroot = {:?}\n[anonymous]\nenabled = true\nhome = \"/pub\"\n", dir.path());
    std::fs::write(dir.path().join("port21.toml"), text).unwrap();
    std::fs::create_dir(dir.path().join("pub")).unwrap();
    let run = |args: &[&str]| {
        let ran = Ran::new(port21(dir.path()).args(args).args(["--config", "port21.toml"]).output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.err
    };
    assert_eq!(run(&["user", "add", "ann", "--no-password", "--home", "/ann"]), "");
    let told = run(&["user", "add", "bob", "--no-password", "--home", "/pub/bob"]);
    assert!(told.starts_with("port21: warning: guests can reach the home of bob ("), "{told}");
    let check = Ran::new(port21(dir.path()).args(["config", "check", "port21.toml"]).output().unwrap());
    assert_eq!(check.err, told);
    // What does not concern the account was told when it came to be.
    assert_eq!(run(&["user", "change", "ann", "--quota", "1MiB"]), "");
    let told = run(&["user", "change", "ann", "--home", "/"]);
    assert!(told.starts_with("port21: warning: ann can reach the home of guests ("), "{told}");
    assert_eq!(run(&["user", "change", "ann", "--home", "/ann"]), "");
    assert_eq!(run(&["user", "change", "bob", "--home", "/bob"]), "");
}

#[test]
fn a_rate_below_the_minimum_is_told() {
    let (dir, file) = accounts();
    user(&file, &["add", "ann", "--no-password", "--rate-up", "2KiB"], "").ok();
    let check = |minimum: u32| {
        let text = format!("[anonymous]\nenabled = true\n[limits]\nminimum-rate = {minimum}\n");
        std::fs::write(dir.path().join("port21.toml"), text).unwrap();
        Ran::new(port21(dir.path()).args(["config", "check", "port21.toml"]).output().unwrap())
    };
    check(2048).ok();
    let error = check(2049).fails(2);
    assert!(error.contains("`rate-up` of ann") && error.contains("2049"), "{error}");
}

#[test]
fn a_quota_holds_from_the_start_and_sees_what_others_do() {
    let (_dir, file) = accounts();
    user(&file, &["add", "ann", "--password-stdin", "--permissions", "all", "--quota", "10"], "secret\n").ok();
    let toml = format!("[accounts]\nfile = \"{}\"\n[limits]\nquota-recount = \"10ms\"\n", file.display());
    // Its directory holds a file of 5 bytes.
    let service = Service::start_with(&toml, |_| ());
    let put = |bytes: &[u8]| {
        let local = service.path("new");
        std::fs::write(&local, bytes).unwrap();
        service.run(&["put", local.to_str().unwrap(), &service.url("ann:secret@", "new")])
    };
    // The first upload of all, into a tree that was never counted.
    let refused = put(b"123456");
    assert!(refused.code != Some(0) && refused.err.contains("552"), "{refused:?}");
    put(b"12345").ok();
    std::fs::remove_file(service.path("root/file")).unwrap();
    // Nobody tells the server of that, nor when it has noticed. What replaces a file needs room beside it.
    let began = std::time::Instant::now();
    while put(b"54321").code != Some(0) {
        assert!(began.elapsed() < PATIENCE, "it never noticed");
    }
}

#[test]
fn a_server_takes_changes_up_at_once() {
    let (_dir, file) = accounts();
    let add =
        |name: &str, more: &[&str]| user(&file, &[&["add", name, "--password-stdin"], more].concat(), "secret\n").ok();
    add("ann", &["--permissions", "all", "--home", "/ann", "--quota", "1000"]);
    let site = Site::with_flags(&["--users", file.to_str().unwrap()]);
    let url = |name: &str, path: &str| site.bob(path).replace("bob:secret", &format!("{name}:secret"));
    std::fs::write(site.local("small"), [1; 900]).unwrap();
    std::fs::write(site.local("large"), [1; 1100]).unwrap();
    site.run(&["put", "small", &url("ann", "small")]).ok();
    assert_eq!(std::fs::read(site.remote("ann/small")).unwrap().len(), 900);
    site.run(&["put", "large", &url("ann", "large")]).fails(6);
    assert!(!site.remote("ann/large").exists());

    // New, gone and changed, without a word to the server.
    site.run(&["ls", &url("eve", "")]).fails(4);
    add("eve", &["--permissions", "read-only"]);
    site.run(&["ls", &url("eve", "")]).ok();
    site.run(&["mkdir", &url("eve", "x")]).fails(5);
    user(&file, &["passwd", "eve", "--password-stdin"], "another\n").ok();
    site.run(&["ls", &url("eve", "")]).fails(4);
    user(&file, &["change", "ann", "--networks", "192.0.2.0/24"], "").ok();
    site.run(&["ls", &url("ann", "")]).fails(4);
    // Those of the command line are there too.
    site.run(&["ls", &site.bob("")]).ok();
}

#[test]
fn sessions_end_with_their_account() {
    let (_dir, file) = accounts();
    let names = ["ann", "ben", "cat", "dan", "eve"];
    for name in names {
        user(&file, &["add", name, "--password-stdin", "--permissions", "all"], "secret\n").ok();
    }
    let service = Service::start_with(&format!("[accounts]\nfile = \"{}\"\n", file.display()), |_| ());
    let [mut ann, mut ben, mut cat, mut dan, mut eve] = names.map(|name| Session::open_as(&service.address, name));
    // Of a text that breaks off nothing is kept in any case.
    assert!(ann.say("TYPE I").starts_with("200") && dan.say("TYPE I").starts_with("200"));
    let (mut cut, mut last) = (ann.upload("of-ann"), dan.upload("of-dan"));
    cut.write_all(b"half").unwrap();
    last.write_all(b"half").unwrap();
    user(&file, &["change", "dan", "--permissions", "read-only"], "").ok();
    user(&file, &["passwd", "cat", "--password-stdin"], "another\n").ok();
    user(&file, &["change", "ben", "--disabled"], "").ok();
    user(&file, &["remove", "ann"], "").ok();
    for gone in [&mut ann, &mut ben, &mut cat] {
        assert_eq!(gone.line(), "421 This login is not valid any more.\r\n");
    }
    assert!(!service.path("root/of-ann").exists(), "an upload that was cut never happened");
    let names = std::fs::read_dir(service.path("root")).unwrap().map(|entry| entry.unwrap().file_name());
    let parts = names.filter(|name| name.to_string_lossy().starts_with(".port21-part-")).count();
    assert_eq!(parts, 1, "that of Dan, whose upload runs: whoever is the next Ann does not go on with this one's");
    // What runs may end, and is the last thing that does under the old permissions.
    last.write_all(b" and half").unwrap();
    drop(last);
    assert!(dan.line().starts_with("226"));
    assert_eq!(dan.line(), "421 This account was changed; log in again.\r\n");
    assert_eq!(std::fs::read(service.path("root/of-dan")).unwrap(), b"half and half");
    assert!(Session::open_as(&service.address, "dan").say("DELE of-dan").starts_with("550"));
    assert!(eve.say("NOOP").starts_with("200"), "who did not change goes on");
    assert_eq!(service.status()["refusals"]["account_changed"].as_u64(), Some(4));

    // Those of before a reload too, and the users of the configuration at a reload.
    let mut bob = Session::open_as(&service.address, "bob");
    let text = std::fs::read_to_string(service.path("port21.toml")).unwrap();
    std::fs::write(service.path("port21.toml"), text.replace("\"secret\"", "\"changed\"")).unwrap();
    service.run(&["reload"]).ok();
    assert!(bob.line().starts_with("421"));
    user(&file, &["remove", "eve"], "").ok();
    assert!(eve.line().starts_with("421"));
}

#[test]
fn guests_drop_files_and_see_nothing_of_them() {
    let (dir, _) = accounts();
    let config = dir.path().join("port21.toml");
    std::fs::write(&config, "[anonymous]\nenabled = true\ndrop = [\"/incoming\"]\nquota = \"1KiB\"\n").unwrap();
    let site = Site::with_flags(&["--config", config.to_str().unwrap()]);
    std::fs::create_dir(site.remote("incoming")).unwrap();
    std::fs::write(site.local("file"), "dropped").unwrap();
    std::fs::write(site.local("large"), [1; 2000]).unwrap();
    site.run(&["put", "file", &site.guest("incoming/file")]).ok();
    assert_eq!(std::fs::read(site.remote("incoming/file")).unwrap(), b"dropped");
    assert_eq!(std::fs::metadata(site.remote("incoming/file")).unwrap().permissions().mode() & 0o777, 0o600);
    site.run(&["put", "file", &site.guest("incoming/file")]).fails(5);
    site.run(&["put", "large", &site.guest("incoming/large")]).fails(6);
    site.run(&["put", "file", &site.guest("file")]).fails(5);
    site.run(&["cat", &site.guest("incoming/file")]).fails(5);
    site.run(&["ls", &site.guest("incoming/")]).fails(5);
    site.run(&["rm", &site.guest("incoming/file")]).fails(5);
    assert!(site.run(&["ls", &site.guest("")]).ok().contains("incoming"));
    assert_eq!(std::fs::read_dir(site.remote("incoming")).unwrap().count(), 1);
}
