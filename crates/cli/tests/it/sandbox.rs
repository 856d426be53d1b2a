//! The server as a process that has given up what it does not need. `/proc` tells it of every thread.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, kill_process, pidfd_open};
use tempfile::TempDir;

use super::support::{Ran, Site, port21};

/// Nobody on every Linux.
const NOBODY: u32 = 65534;

#[test]
fn every_thread_is_restricted_while_transfers_run() {
    let site = Site::with_flags(&["--sandbox", "try"]);
    let root = geteuid().is_root();
    // Transfers that stand still, so that threads of every kind are there: of the runtime, and those that do the blocking
    // work of an upload and of a download.
    let big = std::fs::File::create(site.remote("big")).unwrap();
    big.set_len(64 * 1024 * 1024).unwrap();
    let mut client = Control::connect(site.address());
    client.login("bob", "secret");
    let mut upload = client.passive("STOR up");
    upload.write_all(b"half of it").unwrap();
    let mut other = Control::connect(site.address());
    other.login("bob", "secret");
    let mut download = other.passive("RETR big");
    let mut start = vec![0; 100_000];
    download.read_exact(&mut start).unwrap();

    let threads = threads(site.server().id());
    assert!(threads.len() > 2, "{threads:?}");
    for thread in &threads {
        let of = |key: &str| thread[key].as_str();
        assert_eq!((of("Seccomp"), of("NoNewPrivs")), ("2", "1"), "{thread:?}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(of(set), "0000000000000000", "{set} of {thread:?}");
        }
        // Only root can empty what a program could gain; `no_new_privs` does it for all others.
        assert!(!root || of("CapBnd") == "0000000000000000", "{thread:?}");
    }

    // And everything works as before.
    let mut rest = vec![0; 64 * 1024 * 1024 - start.len()];
    download.read_exact(&mut rest).unwrap();
    drop(download);
    assert!(other.reply().starts_with("226"));
    drop(upload);
    assert!(client.reply().starts_with("226"));
    client.command("SITE CHMOD 600 up", "200");
    client.command("MKD new", "257");
    client.command("RNFR up", "350");
    client.command("RNTO new/moved", "250");
    client.command("MFMT 20050502210700 new/moved", "213");
    assert_eq!(std::fs::read(site.remote("new/moved")).unwrap(), b"half of it");
}

#[test]
fn active_mode_works_from_its_port() {
    let site = Site::start();
    let mut client = Control::connect(site.address());
    client.login("bob", "secret");
    let data = client.active("RETR pub/readme.txt");
    assert_eq!(data.peer_addr().unwrap().port(), site.address().port() - 1);
}

/// Files that a name leads to only after the sandbox was closed: the directory of recordings is one that the server goes
/// into by its name each time.
#[test]
fn a_link_out_of_the_sandbox_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (records, elsewhere) = (dir.path().join("records"), dir.path().join("elsewhere"));
    std::fs::create_dir(&elsewhere).unwrap();
    for (mode, found) in [("off", 1), ("try", 0)] {
        let _ = std::fs::remove_file(&records);
        let site = Site::with_flags(&["--sandbox", mode, "--record", records.to_str().unwrap()]);
        std::fs::remove_dir(&records).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &records).unwrap();
        site.run(&["ls", &site.guest("")]).ok();
        kill_process(Pid::from_child(site.server()), Signal::TERM).unwrap();
        assert_eq!(site.wait(), Some(0));
        let entries: Vec<_> = std::fs::read_dir(&elsewhere).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(entries.len(), found, "sandbox {mode}: {entries:?}");
        entries.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
}

#[test]
fn root_becomes_the_user_that_is_named_and_keeps_its_data_port() {
    if !geteuid().is_root() {
        println!("skipped: only root can become somebody else, and listen at port 21");
        return;
    }
    let dir = open_dir();
    std::fs::create_dir(dir.path().join("srv")).unwrap();
    std::os::unix::fs::chown(dir.path().join("srv"), Some(NOBODY), None).unwrap();
    // All of 127/8 is this machine: this address is not likely to be taken.
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 21, 91)), 21);
    let text = format!(
        "site.root = {:?}\naccounts.write = true\nrecord.directory = {:?}\ncontrol.socket = {:?}\n[[listen]]\n\
         address = \"{address}\"\n[[user]]\nname = \"bob\"\npassword = \"secret\"\n[sandbox]\nmode = \"require\"\n\
         user = \"nobody\"\n",
        dir.path().join("srv"),
        dir.path().join("records"),
        dir.path().join("run/control")
    );
    let server = Server::start(dir.path(), &text, None);
    let mut client = Control::connect(server.address);
    client.login("bob", "secret");
    let mut upload = client.passive("STOR up");
    upload.write_all(b"whole").unwrap();
    for thread in threads(server.process.id()) {
        for ids in ["Uid", "Gid"] {
            assert!(thread[ids].split_whitespace().all(|id| id == "65534"), "{ids} of {thread:?}");
        }
        // CAP_NET_BIND_SERVICE is bit 10, for port 20.
        for set in ["CapPrm", "CapEff"] {
            assert_eq!(thread[set], "0000000000000400", "{set} of {thread:?}");
        }
        assert_eq!((thread["CapBnd"].as_str(), thread["CapAmb"].as_str()), ("0000000000000000", "0000000000000000"));
        assert_eq!((thread["Seccomp"].as_str(), thread["NoNewPrivs"].as_str()), ("2", "1"));
    }
    drop(upload);
    assert!(client.reply().starts_with("226"));
    let data = client.active("RETR up");
    assert_eq!(data.peer_addr().unwrap(), SocketAddr::new(address.ip(), 20));
    assert_eq!(read(data), b"whole");
    assert!(client.reply().starts_with("226"));
    // Ports and directories that were not there at the start would need a restart.
    let reload = |change: &dyn Fn(String) -> String| {
        std::fs::write(dir.path().join("port21.toml"), change(text.clone())).unwrap();
        Ran::new(port21(dir.path()).args(["reload", "--socket", "run/control"]).output().unwrap())
    };
    reload(&|text| text).ok();
    let error = reload(&|text| format!("{text}[passive]\nports = \"5000-5010\"\n")).fails(5);
    assert!(error.contains("`passive.ports`") && error.contains("restart needed"), "{error}");
    let error = reload(&|text| text.replace("/srv\"", "\"")).fails(5);
    assert!(error.contains("outside of the sandbox: restart needed"), "{error}");
    // Files and recordings are that user's.
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata(dir.path().join("srv/up")).unwrap().uid(), NOBODY);
    let log = server.end();
    assert_eq!(std::fs::read_dir(dir.path().join("records")).unwrap().count(), 1);
    assert!(log.contains("runs as nobody") && log.contains("listens at the ports of the configuration only"), "{log}");
}

#[test]
fn without_root_it_is_as_tight() {
    if !geteuid().is_root() {
        println!("skipped: the other tests run without root already");
        return;
    }
    let dir = open_dir();
    std::fs::create_dir(dir.path().join("srv")).unwrap();
    std::os::unix::fs::chown(dir.path().join("srv"), Some(NOBODY), None).unwrap();
    let text = format!(
        "site.root = {:?}\nanonymous.enabled = true\n[[listen]]\naddress = \"127.0.0.1:0\"\n[sandbox]\nmode = \"require\"\n",
        dir.path().join("srv")
    );
    let server = Server::start(dir.path(), &text, Some(NOBODY));
    Control::connect(server.address).login("anonymous", "guest@");
    for thread in threads(server.process.id()) {
        assert_eq!((thread["Seccomp"].as_str(), thread["NoNewPrivs"].as_str()), ("2", "1"), "{thread:?}");
        assert_eq!(thread["CapPrm"], "0000000000000000");
    }
    let log = server.end();
    assert!(log.contains("runs as user 65534") && log.contains("no capabilities"), "{log}");
}

#[test]
fn what_it_cannot_have_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("port21.toml");
    std::fs::create_dir(dir.path().join("srv")).unwrap();
    let serve = |sandbox: &str| {
        let root = format!("site.root = {:?}\nanonymous.enabled = true\n", dir.path().join("srv"));
        std::fs::write(&file, format!("{root}[[listen]]\naddress = \"127.0.0.1:0\"\n[sandbox]\n{sandbox}")).unwrap();
        Ran::new(port21(dir.path()).args(["-q", "serve", "--config"]).arg(&file).output().unwrap())
    };
    assert!(serve("user = \"no-such-user\"\n").fails(2).contains("no user no-such-user"));
    assert!(serve("group = \"root\"\n").fails(2).contains("sandbox.group"));
    assert!(serve("mode = \"off\"\nuser = \"nobody\"\n").fails(2).contains("sandbox.user"));
    if geteuid().is_root() {
        // Nobody cannot read what belongs to root alone.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        assert!(serve("user = \"nobody\"\n").fails(1).contains("the user nobody cannot read"));
        // Root is not given up where there is nobody to become.
        assert!(serve("mode = \"require\"\nuser = \"root\"\n").fails(1).contains("the server stays root"));
    }
}

/// Were its configuration, accounts or keys where it may write, whoever takes it over could have the helper read theirs.
#[test]
fn what_steers_the_server_must_be_out_of_its_reach() {
    let dir = open_dir();
    std::fs::create_dir(dir.path().join("srv")).unwrap();
    let file = dir.path().join("port21.toml");
    let check = |more: &str| {
        let text = format!("site.root = {:?}\nanonymous.enabled = true\n{more}", dir.path().join("srv"));
        std::fs::write(&file, text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
        let mut command = port21(dir.path());
        command.args(["serve", "--check", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
        Ran::new(command.output().unwrap())
    };
    let told = check("[log]\nfile = \"DIR/log/log\"\n[control]\nsocket = \"DIR/run/control\"\n").ok();
    assert!(!told.contains("move one of the two"), "{told}");
    for reached in ["[log]\nfile = \"DIR/log\"\n", "[control]\nsocket = \"DIR/control\"\n"] {
        let told = check(reached).ok();
        let what =
            format!("not: the configuration, {}, can be changed by whoever takes the server over", file.display());
        assert!(told.contains(&what) && told.contains("the file of accounts"), "{told}");
        let refused = check(&format!("{reached}[sandbox]\nmode = \"require\"\n"));
        let why = "`sandbox.mode` is \"require\": the configuration";
        assert!(refused.code == Some(1) && refused.err.contains(why), "{refused:?}");
    }
    // The server itself says the same, and with \"require\" does not start.
    let text = std::fs::read_to_string(&file).unwrap();
    let mut serve = port21(dir.path());
    serve.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
    let refused = Ran::new(serve.output().unwrap());
    assert!(refused.code == Some(1) && refused.err.contains("move one of the two"), "{refused:?}");
    let log = Server::start(
        dir.path(),
        &text.replace("require", "try").replace("[sandbox]", "[[listen]]\naddress = \"127.0.0.1:0\"\n[sandbox]"),
        None,
    )
    .end();
    assert!(log.contains("move one of the two"), "{log}");
}

/// As `packaging/` has it, and the README.
#[test]
fn the_usual_places_are_apart() {
    let dir = open_dir();
    for name in ["srv", "etc", "state/bans", "run"] {
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    let default = Ran::new(port21(dir.path()).args(["config", "default"]).output().unwrap()).ok();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let text = default.replace("/srv/ftp", &at("srv")).replace("/run/port21", &at("run"));
    std::fs::write(dir.path().join("etc/port21.toml"), text).unwrap();
    std::fs::write(dir.path().join("etc/users.toml"), "").unwrap();
    let mut command = port21(dir.path());
    command.env("STATE_DIRECTORY", dir.path().join("state"));
    command.args(["serve", "--check", "--listen", "127.0.0.1:0", "--tls", "offer", "--write"]);
    let told = Ran::new(command.args(["--config", "etc/port21.toml"]).output().unwrap()).ok();
    assert!(told.contains(&format!("keeps files in {}", at("state/bans"))), "{told}");
    assert!(told.contains("would start") && !told.contains("move one of the two"), "{told}");
}

/// The key is out of reach for the user that the server becomes, and the configuration too: the helper reads both again.
#[test]
fn keys_are_read_again_by_the_helper() {
    if !geteuid().is_root() {
        println!("skipped: only root can become somebody who may not read root's key");
        return;
    }
    let dir = open_dir();
    let keys = dir.path().join("keys");
    std::fs::create_dir_all(dir.path().join("srv")).unwrap();
    std::fs::create_dir(&keys).unwrap();
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let config = |more: &str| {
        format!(
            "site.root = {:?}\nsite.greeting = \"{more}\"\nanonymous.enabled = true\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
             [tls]\nmode = \"offer\"\nself-signed = {keys:?}\n[control]\nsocket = {:?}\n[sandbox]\nuser = \"nobody\"\n",
            dir.path().join("srv"),
            dir.path().join("run/control")
        )
    };
    let server = Server::start(dir.path(), &config("first"), None);
    let file = dir.path().join("port21.toml");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let reload = || Ran::new(port21(dir.path()).args(["reload", "--socket", "run/control"]).output().unwrap());

    std::fs::write(&file, config("second")).unwrap();
    reload().ok();
    let mut greeting = String::new();
    BufReader::new(TcpStream::connect(server.address).unwrap()).read_line(&mut greeting).unwrap();
    assert!(greeting.contains("second"), "{greeting}");

    let key = keys.join("self-signed.key");
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, "no key at all").unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    std::fs::File::options().write(true).open(&key).unwrap().set_modified(later).unwrap();
    let error = reload().fails(5);
    assert!(error.contains("self-signed.key") && error.contains("no private key"), "{error}");
    std::fs::write(&key, good).unwrap();
    let later = later + std::time::Duration::from_secs(5);
    std::fs::File::options().write(true).open(&key).unwrap().set_modified(later).unwrap();
    reload().ok();
    server.end();
}

/// The accounts' file is root's own, and is taken up at once for all that. A home that a link leads out to later is not in
/// the sandbox.
#[test]
fn accounts_are_read_by_the_helper_and_stay_in_the_sandbox() {
    let dir = open_dir();
    for name in ["srv", "elsewhere"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    std::fs::write(dir.path().join("srv/file"), "content").unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("srv/out")).unwrap();
    let root = geteuid().is_root();
    let user = if root { "[sandbox]\nuser = \"nobody\"\n" } else { "" };
    let add = |name: &str, more: &[&str]| {
        let mut command = port21(dir.path());
        command.args(["user", "add", name, "--users", "users.toml"]).args(more).env("PORT21_PASSWORD", "opensesame");
        Ran::new(command.output().unwrap()).ok();
    };
    add("ann", &[]);
    let text = format!("site.root = {:?}\n[[listen]]\naddress = \"127.0.0.1:0\"\n{user}", dir.path().join("srv"));
    let server = Server::start(dir.path(), &text, None);
    let login = |name: &str| {
        let mut client = Control::connect(server.address);
        client.command(&format!("USER {name}"), "331");
        client.send("PASS opensesame");
        (client.reply(), client)
    };
    let (reply, mut ann) = login("ann");
    assert!(reply.starts_with("230"), "{reply}");
    assert_eq!(read(ann.passive("RETR file")), b"content");
    add("bob", &[]);
    assert!(login("bob").0.starts_with("230"));
    add("carol", &["--home", "/out"]);
    let (reply, _carol) = login("carol");
    assert!(!reply.starts_with("230"), "{reply}");
    drop((ann, _carol));
    let log = server.end();
    assert!(log.contains("elsewhere is outside of the sandbox: restart needed"), "{log}");
}

/// The helper ends with the server, whatever ends that.
#[test]
fn the_helper_ends_with_the_server() {
    for signal in [Signal::TERM, Signal::KILL] {
        let site = Site::start();
        let helper = helper_of(site.server().id());
        let ended = pidfd_open(helper, PidfdFlags::empty()).unwrap();
        kill_process(Pid::from_child(site.server()), signal).unwrap();
        wait_for(&ended);
    }
}

#[test]
fn a_helper_that_dies_is_told_and_transfers_go_on() {
    let dir = open_dir();
    std::fs::write(dir.path().join("file"), "content").unwrap();
    let mut add = port21(dir.path());
    add.args(["user", "add", "ann", "--users", "users.toml"]).env("PORT21_PASSWORD", "opensesame");
    Ran::new(add.output().unwrap()).ok();
    let free = TcpListener::bind("127.0.0.79:0").unwrap().local_addr().unwrap();
    let server = Server::start(
        dir.path(),
        &format!(
            "site.root = {:?}\nanonymous.enabled = true\n[[listen]]\naddress = \"127.0.0.1:0\"\n[control]\nsocket = {:?}\n\
             [metrics]\nlisten = \"{free}\"\n",
            dir.path(),
            dir.path().join("control")
        ),
        None,
    );
    let get = |path: &str| {
        let mut stream = TcpStream::connect(free).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        String::from_utf8(read(stream)).unwrap()
    };
    let status = || Ran::new(port21(dir.path()).args(["status", "--socket", "control"]).output().unwrap()).ok();
    Control::connect(server.address).login("ann", "opensesame");
    assert!(get("/health").contains(" 200 ") && get("/metrics").contains("\nport21_helper_up 1\n"));
    assert!(!status().contains("WARNING"));
    let mut client = Control::connect(server.address);
    client.login("anonymous", "guest@");
    let helper = helper_of(server.process.id());
    // It is not in the sandbox: what it does is limited by what the configuration names.
    assert!(threads(helper.as_raw_nonzero().get().unsigned_abs()).iter().all(|thread| thread["Seccomp"] == "0"));
    let reload = || Ran::new(port21(dir.path()).args(["reload", "--socket", "control"]).output().unwrap());
    reload().ok();
    let ended = pidfd_open(helper, PidfdFlags::empty()).unwrap();
    kill_process(helper, Signal::KILL).unwrap();
    wait_for(&ended);
    let error = reload().fails(5);
    assert!(error.contains("the helper process is gone"), "{error}");
    // What their file says now nobody knows, such as that they are let in no more.
    let mut ann = Control::connect(server.address);
    ann.command("USER ann", "331");
    ann.command("PASS opensesame", "421");
    assert!(get("/health").contains(" 503 ") && get("/metrics").contains("\nport21_helper_up 0\n"));
    assert!(status().contains("WARNING: the helper process is gone"));
    Control::connect(server.address).login("anonymous", "guest@");
    assert_eq!(read(client.passive("RETR file")), b"content");
    assert!(client.reply().starts_with("226"));
    drop(client);
    let log = server.end();
    assert!(log.contains("the helper process is gone"), "{log}");
}

/// It may hang in a file system, say. What it said before is not what it would say now.
#[test]
fn a_helper_that_hangs_is_told_and_lets_nobody_in_until_it_answers() {
    let dir = open_dir();
    std::fs::write(dir.path().join("file"), "content").unwrap();
    let mut add = port21(dir.path());
    add.args(["user", "add", "ann", "--users", "users.toml"]).env("PORT21_PASSWORD", "opensesame");
    Ran::new(add.output().unwrap()).ok();
    let free = TcpListener::bind("127.0.0.80:0").unwrap().local_addr().unwrap();
    let mut server = Server::start(
        dir.path(),
        &format!(
            "site.root = {:?}\nanonymous.enabled = true\n[[listen]]\naddress = \"127.0.0.1:0\"\n[control]\nsocket = {:?}\n\
             [metrics]\nlisten = \"{free}\"\n",
            dir.path(),
            dir.path().join("control")
        ),
        None,
    );
    let (tell, told) = std::sync::mpsc::channel();
    let log = BufReader::new(server.process.stderr.take().unwrap()).lines();
    std::thread::spawn(move || log.map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let logged = |what: &str| {
        let lines = std::iter::from_fn(|| told.recv_timeout(Duration::from_secs(60)).ok());
        lines.into_iter().find(|line| line.contains(what)).expect(what)
    };
    let get = |path: &str| {
        let mut stream = TcpStream::connect(free).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        String::from_utf8(read(stream)).unwrap()
    };
    let status = || Ran::new(port21(dir.path()).args(["status", "--socket", "control"]).output().unwrap()).ok();
    let reload = || Ran::new(port21(dir.path()).args(["reload", "--socket", "control"]).output().unwrap());
    Control::connect(server.address).login("ann", "opensesame");
    let helper = helper_of(server.process.id());
    let stopped = Stopped::new(helper);
    assert!(logged("the helper process does not answer").contains(&helper.to_string()));
    let mut ann = Control::connect(server.address);
    ann.command("USER ann", "331");
    ann.command("PASS opensesame", "421");
    assert!(reload().fails(5).contains("the helper process does not answer"));
    assert!(get("/health").contains(" 503 ") && get("/metrics").contains("\nport21_helper_up 0\n"));
    assert!(status().contains("WARNING: the helper process does not answer"));
    let mut guest = Control::connect(server.address);
    guest.login("anonymous", "guest@");
    assert_eq!(read(guest.passive("RETR file")), b"content");
    drop(stopped);
    logged("the helper process answers again");
    Control::connect(server.address).login("ann", "opensesame");
    assert!(get("/health").contains(" 200 ") && get("/metrics").contains("\nport21_helper_up 1\n"));
    reload().ok();
}

/// A process that stands still, until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(process: Pid) -> Stopped {
        kill_process(process, Signal::STOP).unwrap();
        Stopped(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have been killed.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// What may be asked of the helper comes from the server that has started it, and from nobody else.
#[test]
fn the_helper_is_no_command() {
    let dir = tempfile::tempdir().unwrap();
    let error = Ran::new(port21(dir.path()).arg("helper").output().unwrap()).fails(2);
    assert!(error.contains("port21 serve starts it"), "{error}");
}

/// The one child of a server.
fn helper_of(server: u32) -> Pid {
    let children = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (pid, rest) = (stat.split(' ').next()?, stat.rsplit(')').next()?);
        let parent: u32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        (parent == server).then(|| Pid::from_raw(pid.parse().ok()?)).flatten()
    });
    let [helper] = <[Pid; 1]>::try_from(children.collect::<Vec<_>>()).unwrap();
    helper
}

/// Waits for the end of a process.
fn wait_for(process: &OwnedFd) {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
    assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1, "it is still there");
}

/// What `/proc` says of each thread of a process.
fn threads(process: u32) -> Vec<BTreeMap<String, String>> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let lines = status.lines().filter_map(|line| line.split_once(':'));
            lines.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
        })
        .collect()
}

/// A directory that everybody can search.
fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

/// A server with a configuration, as a user.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(dir: &Path, config: &str, user: Option<u32>) -> Server {
        let file = dir.join("port21.toml");
        std::fs::write(&file, config).unwrap();
        let mut command: Command = port21(dir);
        if let Some(user) = user {
            // The directory of the build may be closed to others.
            let copy: PathBuf = dir.join("port21");
            std::fs::copy(env!("CARGO_BIN_EXE_port21"), &copy).unwrap();
            command = Command::new(copy);
            command.env_clear().current_dir("/").stdin(Stdio::null()).uid(user).gid(user);
        }
        command.args(["serve", "--config"]).arg(&file);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("ftp://").nth(1).and_then(|rest| rest.split('/').next());
        let Some(address) = address else {
            let mut error = String::new();
            process.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            panic!("no address in {line:?}: {error}");
        };
        Server { process, address: address.parse().unwrap() }
    }

    /// Ends it: what it has logged.
    fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A control connection, by hand: its transfers stand still when they are told to.
struct Control {
    stream: BufReader<TcpStream>,
}

impl Control {
    fn connect(address: SocketAddr) -> Control {
        let mut control = Control { stream: BufReader::new(TcpStream::connect(address).unwrap()) };
        assert!(control.reply().starts_with("220"));
        control
    }

    fn login(&mut self, user: &str, password: &str) {
        self.command(&format!("USER {user}"), "331");
        self.command(&format!("PASS {password}"), "230");
        self.command("TYPE I", "200");
    }

    /// A data connection of the server's listener, with a transfer on it.
    fn passive(&mut self, command: &str) -> TcpStream {
        let reply = self.command("EPSV", "229");
        let port = reply.split('|').nth(3).unwrap().parse().unwrap();
        let address = SocketAddr::new(self.stream.get_ref().peer_addr().unwrap().ip(), port);
        let data = TcpStream::connect(address).unwrap();
        self.command(command, "150");
        data
    }

    /// A data connection from the server.
    fn active(&mut self, command: &str) -> TcpStream {
        let listener = TcpListener::bind((self.stream.get_ref().local_addr().unwrap().ip(), 0)).unwrap();
        let here = listener.local_addr().unwrap();
        self.command(&format!("EPRT |1|{}|{}|", here.ip(), here.port()), "200");
        self.command(command, "150");
        listener.accept().unwrap().0
    }

    fn send(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn command(&mut self, line: &str, code: &str) -> String {
        self.send(line);
        let reply = self.reply();
        assert!(reply.starts_with(code), "{line}: {reply}");
        reply
    }

    /// The last line of the next reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "the server has hung up");
            if line.as_bytes().get(3) == Some(&b' ') && line.as_bytes()[0].is_ascii_digit() {
                return line;
            }
        }
    }
}

fn read(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}
