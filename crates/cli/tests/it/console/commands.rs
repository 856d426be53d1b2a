//! Each command that speaks to a server, at least once.

use std::os::unix::fs::PermissionsExt as _;

use super::super::support::{Site, feed, port21};

/// Runs a script as bob, with the server's replies.
#[track_caller]
fn told(site: &Site, script: &str) -> String {
    site.feed(&["shell", &site.bob("pub/")], &format!("verbose on\n{script}")).ok()
}

#[track_caller]
fn assert_all(text: &str, wanted: &[&str]) {
    for line in wanted {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
}

#[test]
fn words_with_the_server() {
    let site = Site::start();
    let out = told(
        &site,
        "features\nsystem\nrhelp\nrhelp noop\nrstatus\nremopts MLST type;size;\nmlst readme.txt\nchmod 600 readme.txt\n\
         debug\n-umask 027\n-umask\n-idle 600\ndebug off\nreset\nquote NOOP\nsite HELP\nmodtime readme.txt\nsize readme.txt\ntenex\nbinary\n",
    );
    assert_all(&out, &["211-", "215 UNIX", "214", "type=file;size=8;", "readme.txt\t8", " +0000\n", "200 "]);
    assert_all(&out, &["---> SITE UMASK 027\n", "---> SITE UMASK\n", "---> SITE IDLE 600\n"]);
    assert_eq!(site.remote("pub/readme.txt").metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn directories() {
    let site = Site::start();
    std::fs::write(site.local("mine"), "mine").unwrap();
    let script =
        "mkdir new\ncd new\ncdup\nrename new newer\nrmdir newer\nput ~/mine x\nmdelete x\ndelete \"a b.bin\"\npwd\n";
    let out = told(&site, script);
    assert_all(&out, &["257 \"/pub/new\"", "257 \"/pub\""]);
    for gone in ["a b.bin", "newer", "x"] {
        assert!(!site.remote("pub").join(gone).exists(), "{gone}");
    }
}

#[test]
fn listings_to_the_screen_to_files_and_to_commands() {
    let site = Site::start();
    let out = site
        .feed(
            &["shell", &site.guest("")],
            "set pager \"sed s/^/paged:/\"\nls pub\nnlist pub\nmlsd pub\ndir -a pub listing\nls pub \"|wc -l\"\nmls pub pub both\n\
             mdir pub -\npdir pub\npls pub\npmlsd pub\nnlist pub names\npage pub/readme.txt\nmore pub/readme.txt\nls . -\n",
        )
        .ok();
    assert_all(
        &out,
        &["pub/readme.txt\n", "type=file;", "\n2\n", "paged:-rw", "paged:type=", "paged:one\npaged:two\n"],
    );
    assert!(std::fs::read_to_string(site.local("listing")).unwrap().contains("readme.txt"));
    // mls tells the names alone.
    assert_eq!(std::fs::read_to_string(site.local("both")).unwrap().matches("pub/readme.txt\n").count(), 2);
    assert!(std::fs::read_to_string(site.local("names")).unwrap().contains("readme.txt\n"));
    // Where the server refuses, no file is left.
    site.feed(&["shell", &site.guest("")], "nlist nowhere gone\n").fails(5);
    assert!(!site.local("gone").exists());
}

#[test]
fn transfers_from_and_to_commands_and_from_offsets() {
    let site = Site::start();
    std::fs::write(site.local("mine"), "0123456789").unwrap();
    std::fs::write(site.local("readme.txt"), "ONE\n").unwrap();
    let out = told(
        &site,
        "get readme.txt \"|tr a-z A-Z\"\nget readme.txt -\nput \"|echo hello\" greeting\nput mine\nrestart 4\nput mine\n\
         restart 4\nget readme.txt\nrecv readme.txt copy\nsend mine sent\nappend \"|printf more\" sent\n",
    );
    assert_all(&out, &["ONE\nTWO\n", "one\ntwo\n", "350 ", "10 bytes sent in"]);
    // What goes to the screen or to a command is a transfer as well.
    assert_all(
        &out,
        &["local: - remote: readme.txt\n", "local: |tr a-z A-Z remote: readme.txt\n", "8 bytes received in"],
    );
    let remote = |name: &str| std::fs::read_to_string(site.remote("pub").join(name)).unwrap();
    assert_eq!(
        (remote("greeting"), remote("mine"), remote("sent")),
        ("hello\n".into(), "0123456789".into(), "0123456789more".into())
    );
    assert_eq!(std::fs::read_to_string(site.local("readme.txt")).unwrap(), "ONE\ntwo\n");

    // What a command has written when it fails is no file; nor has a file a gap.
    let bob = site.bob("pub/");
    let error = site.feed(&["shell", &bob], "put \"|echo half; exit 3\" half\n").fails(1);
    assert!(error.contains("nothing was stored") && !site.remote("pub/half").exists(), "{error}");
    let error = site.feed(&["shell", &bob], "restart 99\nget readme.txt\n").fails(1);
    assert!(error.contains("gap"), "{error}");
    assert!(site.feed(&["shell", &bob], "put - x\n").fails(2).contains("holds the script"));
    assert!(site.feed(&["shell", &bob], "put |echo\n").fails(2).contains("needs one at the server"));
    site.feed(&["shell", "-f", "-", &bob], "put nothing\n").fails(1);
}

#[test]
fn many_files() {
    let site = Site::start();
    for name in ["a.txt", "b.txt", "c.bin"] {
        std::fs::write(site.remote("pub").join(name), name).unwrap();
    }
    std::fs::write(site.local("list"), "a.txt\r\nc.bin\n\n").unwrap();
    std::fs::write(site.local("b.txt"), "b.").unwrap();
    let out = told(&site, "fget list\nmreget b.*\n");
    assert_all(&out, &["local: a.txt remote: a.txt", "local: c.bin remote: c.bin"]);
    for name in ["a.txt", "b.txt", "c.bin"] {
        assert_eq!(std::fs::read_to_string(site.local(name)).unwrap(), name);
    }
    // One that is not there does not keep back the others.
    std::fs::write(site.local("list"), "nothing\nreadme.txt\n").unwrap();
    let error = site.feed(&["shell", &site.guest("pub/")], "fget list\n").fails(5);
    assert!(error.contains("550") && site.local("readme.txt").exists(), "{error}");
    // Two of one name do not write over each other.
    let error = site.feed(&["shell", &site.guest("")], "mget pub/a.txt /pub/a.txt\n").fails(1);
    assert!(error.contains("another file was to become"), "{error}");
    std::fs::create_dir(site.local("up")).unwrap();
    std::fs::write(site.local("up/one"), "1").unwrap();
    std::fs::write(site.local("up/two"), "2").unwrap();
    told(&site, "msend up/*\nmdelete *.txt\n");
    assert!(site.remote("pub/one").exists() && site.remote("pub/two").exists() && !site.remote("pub/a.txt").exists());
    // With glob off a pattern is a name.
    site.feed(&["shell", &site.guest("pub/")], "glob off\nmget *\n").fails(5);
}

#[test]
fn newer_files_alone() {
    let site = Site::start();
    let out = told(&site, "newer readme.txt\nnewer readme.txt\n");
    assert_all(&out, &["Local file \"", "is newer than remote file \"readme.txt\"."]);
    assert_eq!(out.matches("bytes received").count(), 1, "{out}");
    let old = std::fs::File::options().write(true).open(site.local("readme.txt")).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(told(&site, "newer readme.txt\n").contains("bytes received"));
}

#[test]
fn names_on_their_way() {
    let site = Site::start();
    for name in ["LOUD.TXT", "x;y.d"] {
        std::fs::write(site.remote("pub").join(name), name).unwrap();
    }
    std::fs::write(site.local("mine.c"), "c").unwrap();
    told(
        &site,
        "case\nget LOUD.TXT\ncase off\nntrans ; _\nmget x*\nntrans\nnmap $1.$2 $2.$1\nput mine.c\nmput mine.*\nnmap\nrunique\n\
         get readme.txt\nget readme.txt\nmget readme.*\nsunique\nput mine.c\nmput mine.c\n",
    );
    for name in ["loud.txt", "x_y.d", "readme.txt", "readme.txt.1", "readme.txt.2"] {
        assert!(site.local(name).exists(), "{name}");
    }
    assert!(site.remote("pub/c.mine").exists());
    let made_up = std::fs::read_dir(site.remote("pub")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(made_up.filter(|name| name.to_string_lossy().starts_with("mine.c")).count(), 2);
}

#[test]
fn texts_with_and_without_returns() {
    let site = Site::start();
    told(&site, "ascii\nget readme.txt with\ncr off\nget readme.txt without\ncr on\nget readme.txt again\n");
    let read = |name: &str| std::fs::read_to_string(site.local(name)).unwrap();
    assert_eq!(
        (read("with"), read("without"), read("again")),
        ("one\ntwo\n".into(), "one\r\ntwo\r\n".into(), "one\ntwo\n".into())
    );
}

#[test]
fn commands_and_connections_are_shown() {
    let site = Site::start();
    let out = site
        .feed(
            &["shell"],
            &format!(
                "debug\ntrace\nopen 127.0.0.1 {}\nuser bob secret\nxferbuf 64k\nepsv4 off\nget pub/readme.txt\n",
                site.port()
            ),
        )
        .ok();
    assert_all(
        &out,
        &["---> USER bob\n", "---> PASS ***\n", "---> PASV\n", "* control connection: this side opens it\n"],
    );
    assert_all(&out, &["* connection 1: 8 bytes from the server\n"]);
    assert!(!out.contains("---> EPSV") && !out.contains("secret"), "{out}");
    let out = site.feed(&["shell", &site.guest("pub/")], "debug\npassive off\nget readme.txt\n").ok();
    assert_all(&out, &["---> PORT 127,0,0,1,", "Passive mode: off; fallback to active mode: off."]);
}

#[test]
fn who_has_not_logged_in_is_told_just_that() {
    let site = Site::start();
    let ran = site.feed(&["shell"], &format!("verbose on\nopen 127.0.0.1 {}\nls\n", site.port()));
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.out.contains("530 ") && !ran.out.contains("passive mode"), "{ran:?}");
}

#[test]
fn the_mode_may_come_from_the_environment() {
    let site = Site::start();
    for (mode, want) in [
        ("active", "Passive mode: off;"),
        ("passive", "Passive mode: on; fallback to active mode: off."),
        ("auto", "Passive mode: on; fallback to active mode: on."),
        ("gate", "Gate ftp: on, server gw, port 21."),
    ] {
        let mut command = port21(&site.local(""));
        command.arg("shell").env("FTPMODE", mode).env("FTPSERVER", "gw");
        let out = feed(command, "status\n").ok();
        assert!(out.contains(want), "{mode}: {out}");
    }
    let mut command = port21(&site.local(""));
    command.arg("shell").env("FTPMODE", "carrier pigeon");
    let ran = feed(command, "status\n");
    assert!(ran.code == Some(0) && ran.err.contains("FTPMODE"), "{ran:?}");
}

#[test]
fn what_moves_rings_the_bell_and_keeps_its_time() {
    let site = Site::start();
    let file = std::fs::File::options().write(true).open(site.remote("pub/readme.txt")).unwrap();
    let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    file.set_modified(then).unwrap();
    let out = told(&site, "bell\nget readme.txt\npwd\npreserve off\nget readme.txt fresh\n");
    assert_eq!(out.matches('\x07').count(), 2, "{out:?}");
    assert_eq!(site.local("readme.txt").metadata().unwrap().modified().unwrap(), then);
    assert_ne!(site.local("fresh").metadata().unwrap().modified().unwrap(), then);
}
