//! Commands that need no server, as a script sees them.

use super::super::support::{Site, feed, port21};

#[test]
fn commands_that_need_no_server() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("text"), "text\n").unwrap();
    let script = "set pager cat\nlpage text\nlpwd\nlcd /\nlpwd\nhelp get\nusage rate\nstatus\nmacdef m\nbell $1\n\n$m off\n\
                  set\nunset pager\n!echo from the shell\nform\nmode stream\nstruct\nrate all\nsndbuf 10k\nrcvbuf 10k\nprogress\n\
                  prompt off\nedit off\njobs\nbookmarks\nproxy ?\n? bookmarks\n";
    let out = feed(crate_command(here.path()), script).ok();
    for line in
        ["text\n", "Local directory: /\n", "usage: rate all|get|put", "Bell mode off.", "from the shell", "anonpass"]
    {
        assert!(out.contains(line), "{line:?} is not in {out}");
    }
    for line in
        ["sendport off", "epsv6", "mode block", "set http_proxy x", "gate", "proxy pwd", "page x", "m", "restart 5"]
    {
        let ran = feed(crate_command(here.path()), &format!("{line}\n"));
        assert_eq!((ran.code, ran.err.lines().count()), (Some(2), 1), "{line}: {ran:?}");
    }
}

fn crate_command(home: &std::path::Path) -> std::process::Command {
    let mut command = port21(home);
    command.arg("shell");
    command
}

#[test]
fn bookmarks_lead_to_places() {
    let site = Site::start();
    let script =
        format!("bookmarks add mine {}\nopen mine\npwd\nbookmarks add deep\nbookmarks\nclose\n", site.guest("pub/"));
    let out = site.feed(&["shell"], &script).ok();
    let deep = format!("deep             ftp://anonymous@{}/%2Fpub", site.address());
    assert!(out.contains("Remote directory: /pub\n") && out.contains(&deep), "{out}");
    let out = site.feed(&["shell", "deep"], "size readme.txt\nbookmarks remove deep\nbookmarks\n").ok();
    assert!(out.contains("readme.txt\t8") && !out.contains("deep "), "{out}");
    let error = site.feed(&["shell"], &format!("bookmarks add x {}\n", site.bob(""))).fails(2);
    assert!(error.contains("no password"), "{error}");
    site.feed(&["shell"], "bookmarks remove none\n").fails(2);
}
