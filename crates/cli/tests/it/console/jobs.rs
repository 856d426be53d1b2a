//! What takes sessions of its own: jobs, pget, mirror; and two servers at once.

use super::super::support::Site;

#[test]
fn transfers_in_the_background() {
    let site = Site::start();
    std::fs::write(site.local("mine"), "mine").unwrap();
    let script =
        "cd pub\nget readme.txt &\nmget \"a b.bin\" &\nput mine &\njobs wait\njobs\npget -n 2 readme.txt seg &\n";
    let out = site.feed(&["shell", &site.bob("")], script).ok();
    for line in ["[1] get readme.txt\n", "[1] done: get readme.txt: 1 file, 8 B\n", "[3] done: put mine: 1 file, 4 B\n"]
    {
        assert!(out.contains(line), "{line:?} is not in {out}");
    }
    // The end of a script waits for what still runs.
    assert!(out.contains("[4] done: pget -n 2 readme.txt seg"), "{out}");
    assert_eq!(std::fs::read(site.local("seg")).unwrap(), b"one\ntwo\n");
    assert!(site.remote("pub/mine").exists() && site.local("a b.bin").exists());
}

#[test]
fn a_job_that_fails_fails_the_script_and_one_that_is_stopped_does_not() {
    let site = Site::start();
    let ran = site.feed(&["shell", &site.guest("pub/")], "get nothing &\njobs wait 1\n");
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(
        ran.out.contains("[1] failed: get nothing: RETR: the server answered 550") && ran.err.contains("line 2: jobs"),
        "{ran:?}"
    );
    std::fs::File::create(site.remote("pub/big")).unwrap().set_len(1 << 30).unwrap();
    let out = site.feed(&["shell", &site.guest("pub/")], "rate get 1k\nget big &\njobs\njobs kill 1\njobs\n").ok();
    assert!(out.contains("[1] running: get big: 0 of ") && out.contains("[1] failed: get big: stopped\n"), "{out}");
    assert!(!site.local("big").exists());
    site.feed(&["shell", &site.guest("pub/")], "jobs kill 7\n").fails(2);
    site.feed(&["shell", &site.guest("pub/")], "ls &\n").fails(5);
    let open = format!("open 127.0.0.1 {}\nget x &\n", site.port());
    assert!(site.feed(&["shell"], &open).fails(2).contains("Not logged in."));
}

#[test]
fn mirrors_and_segments() {
    let site = Site::start();
    std::fs::File::create(site.remote("pub/big")).unwrap().set_len(5 << 20).unwrap();
    let script = "cd pub\npget big\npget -n 3 big big2\nmirror . copy\nmirror -n . copy\nmirror -R copy up\nmirror --exclude big --exclude up/ \
                  /pub less &\nmirror --help\n";
    let out = site.feed(&["shell", &site.bob("")], script).ok();
    assert!(out.contains("3 files transferred (5.0 MiB)") && out.contains("would be: 0 files transferred"), "{out}");
    assert!(
        out.contains("--exclude") && out.contains("[1] done: mirror --exclude big --exclude up/ /pub less: 2 files"),
        "{out}"
    );
    for name in ["big", "big2"] {
        assert_eq!(site.local(name).metadata().unwrap().len(), 5 << 20, "{name}");
    }
    assert!(site.local("copy/readme.txt").exists() && site.remote("pub/up/big").exists());
    assert!(site.local("less/readme.txt").exists() && !site.local("less/big").exists());
    assert!(site.feed(&["shell", &site.bob("")], "mirror --frob x\n").fails(2).contains("--frob"));
    site.feed(&["shell", &site.bob("")], "mirror nowhere here\n").fails(5);
}

#[test]
fn files_from_server_to_server() {
    let (site, other) = (Site::start(), Site::start());
    std::fs::write(other.remote("pub/theirs.txt"), "theirs").unwrap();
    let script = format!(
        "verbose on\ncd pub\nproxy open {}\nproxy cd pub\nproxy mkdir new\nproxy get readme.txt moved.txt\nproxy put theirs.txt\n\
         proxy append theirs.txt theirs.txt\nproxy mget *.bin\nproxy mput th*\nproxy pwd\npwd\nproxy ls\nproxy close\nstatus\n",
        other.bob("")
    );
    let out = site.feed(&["shell", &site.bob("")], &script).ok();
    assert_eq!(std::fs::read(other.remote("pub/moved.txt")).unwrap(), b"one\ntwo\n");
    assert_eq!(std::fs::read(other.remote("pub/a b.bin")).unwrap(), [0, 13, 10, 255]);
    assert_eq!(std::fs::read_to_string(site.remote("pub/theirs.txt")).unwrap(), "theirs");
    assert!(other.remote("pub/new").exists() && !site.remote("pub/new").exists());
    assert!(out.contains("sent from server to server") && out.contains("No proxy connection."), "{out}");
    // Whose reply it is stands before it, for as long as there are two.
    assert!(out.contains("127.0.0.1: 257 \"/pub/new\"") && out.contains("\n250 CWD"), "{out}");
    let proxied = |line: &str| site.feed(&["shell", &site.bob("")], &format!("proxy open {}\n{line}\n", other.bob("")));
    assert!(proxied("proxy reget readme.txt").fails(2).contains("?Invalid proxy command."));
    assert!(proxied("proxy get nothing").fails(5).contains("550"));
}
