//! What a process can and cannot do behind a closed sandbox: tried in a process of its own, as there is no way back out.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{PidfdFlags, Resource, getppid, getrlimit, pidfd_open, prlimit, test_kill_process};

use super::places::{Access, Grant};
use super::*;

const DIR: &str = "PORT21_TEST_SANDBOX";

/// In the process of the test it begins another that runs this test alone, on its main thread; there, `DIR` is set.
#[test]
fn what_is_left_and_what_is_gone() {
    if let Some(dir) = std::env::var_os(DIR) {
        return inside(&PathBuf::from(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["read", "write/a", "write/b", "else", "log", "records", "run", "state"] {
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    std::fs::write(dir.path().join("read/file"), "x").unwrap();
    for name in ["else/file", "log/old", "records/old", "run/old", "state/old"] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    std::os::unix::fs::symlink(dir.path().join("else/file"), dir.path().join("read/link")).unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "sandbox::tests::what_is_left_and_what_is_gone", "--test-threads=1", "--nocapture"]);
    let ran = again.env(DIR, dir.path()).output().unwrap();
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && out.contains("all of it holds"), "{out}{}", String::from_utf8_lossy(&ran.stderr));
}

fn inside(dir: &Path) {
    let text = format!(
        "site.root = {:?}\naccounts.write = true\nrecord.directory = {:?}\n[[user]]\nname = \"a\"\npassword = \"b\"\n",
        dir.join("write"),
        dir.join("write/made/records")
    );
    let config: Config = toml::from_str(&text).unwrap();
    places::make_own(&config, None).unwrap();
    assert!(dir.join("write/made/records").is_dir());
    let grants = [
        Grant { path: dir.join("write"), access: Access::Write },
        Grant { path: dir.join("read"), access: Access::Read },
        Grant { path: dir.join("log"), access: Access::Append },
        Grant { path: dir.join("records"), access: Access::Records },
        Grant { path: dir.join("run"), access: Access::Socket },
        Grant { path: dir.join("state"), access: Access::State },
    ];
    let steps = Steps::new(&config, None, &[], &grants);
    // The tests have a thread of their own, beside this one.
    let safeguards = steps.give_up().unwrap();
    assert!(safeguards.lacks.iter().all(|lack| lack.contains("root")), "{safeguards:?}");

    // Every thread has it: the rest is tried on another one than closed it.
    let dir = dir.to_owned();
    std::thread::spawn(move || tries(&dir)).join().unwrap();
    println!("all of it holds");
}

fn tries(dir: &Path) {
    let denied = |what: std::io::Result<()>| {
        let error = what.unwrap_err();
        assert!(error.kind() == ErrorKind::PermissionDenied, "{error}");
    };
    let opened = |name: &str| std::fs::File::open(dir.join(name)).map(drop);
    // Files.
    opened("read/file").unwrap();
    std::fs::read_dir(dir.join("read")).unwrap();
    std::fs::write(dir.join("write/a/file"), "x").unwrap();
    std::fs::rename(dir.join("write/a/file"), dir.join("write/b/file")).unwrap();
    std::fs::hard_link(dir.join("write/b/file"), dir.join("write/a/link")).unwrap();
    std::fs::remove_dir_all(dir.join("write/a")).unwrap();
    denied(opened("else/file"));
    denied(opened("read/link"));
    denied(opened("write/../else/file"));
    denied(std::fs::write(dir.join("read/file"), "y"));
    denied(std::fs::write(dir.join("read/new"), "y"));
    denied(std::fs::remove_file(dir.join("read/file")));
    denied(std::fs::rename(dir.join("write/b/file"), dir.join("else/moved")));
    denied(std::fs::create_dir(dir.join("else/new")));
    denied(std::fs::File::open("/etc/passwd").map(drop));
    denied(std::fs::read_dir("/").map(drop));
    denied(std::fs::File::open("/proc/self/environ").map(drop));
    // What is the server's own.
    let append = |name: &str| std::fs::File::options().create(true).append(true).open(dir.join(name)).map(drop);
    append("log/old").unwrap();
    append("log/new").unwrap();
    denied(opened("log/old"));
    denied(std::fs::remove_file(dir.join("log/old")));
    denied(std::fs::rename(dir.join("log/old"), dir.join("log/renamed")));
    append("records/new").unwrap();
    assert_eq!(std::fs::read_dir(dir.join("records")).unwrap().count(), 2);
    denied(opened("records/old"));
    std::fs::remove_file(dir.join("records/old")).unwrap();
    let control = UnixListener::bind(dir.join("run/socket")).unwrap();
    drop(UnixStream::connect(dir.join("run/socket")).unwrap());
    control.accept().unwrap();
    std::fs::remove_file(dir.join("run/socket")).unwrap();
    denied(append("run/old"));
    denied(append("run/new"));
    denied(opened("run/old"));
    std::fs::write(dir.join("state/new"), "y").unwrap();
    std::fs::rename(dir.join("state/new"), dir.join("state/old")).unwrap();
    opened("state/old").unwrap();
    denied(std::fs::create_dir(dir.join("state/dir")));
    denied(std::os::unix::fs::symlink("/", dir.join("state/link")));
    // Programs, other processes, other kinds of sockets.
    let gone = |what: Result<(), Errno>| assert_eq!(what, Err(Errno::NOSYS));
    assert_eq!(Command::new("/bin/true").status().unwrap_err().raw_os_error(), Some(Errno::NOSYS.raw_os_error()));
    let parent = getppid().unwrap();
    gone(test_kill_process(parent));
    gone(pidfd_open(parent, PidfdFlags::empty()).map(drop));
    let limit = getrlimit(Resource::Core);
    gone(prlimit(Some(parent), Resource::Core, limit).map(drop));
    gone(rustix::process::chroot(dir));
    gone(socket(AddressFamily::NETLINK, SocketType::RAW, None).map(drop));
    gone(socket(AddressFamily::PACKET, SocketType::RAW, None).map(drop));
    gone(rustix::thread::set_thread_uid(rustix::process::Uid::ROOT));
    // What a server does.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    listener.accept().unwrap();
    let status = std::fs::metadata("/proc/self/status");
    assert!(status.is_ok(), "looking at a file's metadata is no reading");
}
