//! The console: as a script, command by command, and at a terminal.

mod commands;
mod jobs;
mod logins;
mod servers;
mod settings;
mod terminal;

use super::support::Site;

#[test]
fn a_session_from_standard_input() {
    let site = Site::start();
    std::fs::write(site.local("up 1.txt"), "up").unwrap();
    std::fs::write(site.local("up 2.txt"), "up up").unwrap();
    let script = format!(
        "# as BSD ftp -n is used\n\
         verbose\n\
         open 127.0.0.1 {}\n\
         user bob secret\n\
         cd pub\n\
         get readme.txt\n\
         binary\n\
         get \"a b.bin\" copy.bin\n\
         mput up*.txt\n\
         append \"up 1.txt\" \"up 2.txt\"\n\
         size \"up 2.txt\"\n\
         rename \"up 1.txt\" renamed\n\
         mkdir new\n\
         cd new\n\
         pwd\n\
         cdup\n\
         rmdir new\n\
         !touch from-the-shell\n\
         quote NOOP\n\
         site HELP\n\
         ls\n\
         bye\n",
        site.port()
    );
    let out = site.feed(&["shell"], &script).ok();
    assert_eq!(std::fs::read(site.local("copy.bin")).unwrap(), [0, 13, 10, 255]);
    assert_eq!(std::fs::read_to_string(site.remote("pub/up 2.txt")).unwrap(), "up upup");
    assert!(site.remote("pub/renamed").exists() && site.local("from-the-shell").exists());
    assert!(!site.remote("pub/new").exists());
    for line in ["230 User bob logged in.", "257 \"/pub/new\"", "up 2.txt\t7", "local: copy.bin remote: a b.bin"] {
        assert!(out.contains(line), "{line:?} is not in {out}");
    }
    assert!(out.contains("bytes received in") && out.contains("bytes sent in"), "{out}");
    assert!(out.contains("221 "), "{out}");
}

#[test]
fn one_file_that_is_refused_does_not_keep_back_the_others() {
    let site = Site::start();
    for name in ["m1.txt", "m2\n.txt", "m3.txt"] {
        std::fs::write(site.remote("pub").join(name), name).unwrap();
    }
    // The server shows a line end in a name as `?`: no such file can be had.
    let error = site.feed(&["shell", &site.guest("pub/")], "mget m*.txt\n").fails(5);
    assert!(error.contains("line 1: mget") && error.contains("550 m2?.txt"), "{error}");
    assert!(site.local("m1.txt").exists() && site.local("m3.txt").exists());
}

#[test]
fn a_reply_that_was_asked_for_is_shown_as_on_the_wire() {
    let site = Site::start();
    let out = site.feed(&["shell", &site.guest("pub/")], "site HELP\nquote NOOP\n").ok();
    assert!(out.starts_with("214-Commands behind SITE:\n") && out.contains("\n214 End of help.\n200 "), "{out}");
}

#[test]
fn the_first_line_that_fails_ends_a_script_and_is_named() {
    let site = Site::start();
    let script = "cd nowhere\nget readme.txt\n";
    let error = site.feed(&["shell", &site.guest("pub/")], script).fails(5);
    assert!(error.contains("line 1: cd") && error.contains("550"), "{error}");
    assert!(!site.local("readme.txt").exists());
    let ran = site.feed(&["ftp", &site.guest("pub/")], "-cd nowhere\nget readme.txt\n");
    assert!(ran.err.contains("line 1"), "{ran:?}");
    ran.ok();
    assert!(site.local("readme.txt").exists());
    assert!(site.feed(&["shell"], "user bob secret\n").fails(2).contains("line 1: user: Not connected."));
    assert!(site.feed(&["shell"], "frobnicate\n").fails(2).contains("?Invalid command."));
}

#[test]
fn a_script_in_a_file_that_goes_on_behind_failures() {
    let site = Site::start();
    std::fs::write(site.local("script"), "cd nowhere\nget readme.txt\nfrobnicate\nput -\n").unwrap();
    let error = site.run(&["shell", "-f", "script", &site.guest("pub/")]).fails(5);
    assert!(error.contains("line 1: cd"), "{error}");
    let ran = site.run(&["shell", "-k", "--script", "script", &site.guest("pub/")]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(["line 1: cd", "line 3: frobnicate", "line 4: put"].iter().all(|line| ran.err.contains(line)), "{ran:?}");
    assert!(site.local("readme.txt").exists());
    site.run(&["shell", "-f", "nothing"]).fails(1);
}

#[test]
fn logins_of_the_console() {
    let site = Site::start();
    // A URL without a name is a guest's.
    site.feed(&["shell", &site.guest("pub/")], "size readme.txt\n").ok();
    // A bare host is logged in to by the script.
    let open = format!("open 127.0.0.1 {}\n", site.port());
    site.feed(&["shell"], &(open.clone() + "size pub/readme.txt\n")).fails(5);
    let error = site.feed(&["shell"], &(open.clone() + "user bob wrong\n")).fails(4);
    assert!(error.contains("530") && !error.contains("wrong"), "{error}");
    let error = site.feed(&["shell"], &(open.clone() + "user bob\n")).fails(4);
    assert!(error.contains("no password"), "{error}");
    site.feed(&["shell"], &(open + "user ftp\nsize pub/readme.txt\n")).ok();
}

#[test]
fn patterns_and_resumption() {
    let site = Site::start();
    std::fs::write(site.remote("pub/b.txt"), "b").unwrap();
    std::fs::write(site.remote("pub/long.bin"), [9; 3000]).unwrap();
    std::fs::write(site.local("long.bin"), [9; 1000]).unwrap();
    let script = "mget pub/*.txt\nhash\nreget pub/long.bin\nmdelete pub/*.txt\nmput b*\nget b.txt -\n";
    let out = site.feed(&["shell", &site.bob("")], script).ok();
    // A mark for each block that has begun.
    assert!(out.ends_with("\n###\n#\nb"), "{out}");
    assert_eq!(std::fs::read(site.local("long.bin")).unwrap(), [9; 3000]);
    assert!(site.local("readme.txt").exists() && site.local("b.txt").exists());
    assert!(!site.remote("pub/readme.txt").exists() && site.remote("b.txt").exists());
    site.feed(&["shell", &site.bob("")], "mget *.nothing\n").fails(5);
}

#[test]
fn ascii_converts_line_ends_both_ways() {
    let site = Site::start();
    let script = "ascii\nget pub/readme.txt\nput readme.txt copy.txt\ntype\nbye\n";
    let out = site.feed(&["shell", &site.bob("")], script).ok();
    assert!(out.contains("Using ascii mode"), "{out}");
    assert_eq!(std::fs::read(site.local("readme.txt")).unwrap(), b"one\ntwo\n");
    assert_eq!(std::fs::read(site.remote("copy.txt")).unwrap(), b"one\ntwo\n");
}
