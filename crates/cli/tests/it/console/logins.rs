//! ~/.netrc and the console: logins, accounts, macros.

use std::os::unix::fs::PermissionsExt as _;

use super::super::support::Site;

fn netrc(site: &Site, text: &str, mode: u32) {
    let path = site.local(".netrc");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn macros_of_netrc_come_with_the_login_and_init_runs() {
    let site = Site::start();
    netrc(
        &site,
        "machine 127.0.0.1 login bob password secret\nmacdef init\ncd pub\nsize readme.txt\n\nmacdef both\nsize $1\nsize $2\n\n",
        0o600,
    );
    let open = format!("open 127.0.0.1 {}\n", site.port());
    let out = site.feed(&["shell"], &(open.clone() + "$both readme.txt /pub/readme.txt\nclose\n")).ok();
    assert_eq!(out, "readme.txt\t8\nreadme.txt\t8\n/pub/readme.txt\t8\n");
    // They are forgotten with the session.
    let error = site.feed(&["shell"], &(open + "close\n$both a b\n")).fails(2);
    assert!(error.contains("macro not found"), "{error}");
}

#[test]
fn a_netrc_that_others_read_is_refused() {
    let site = Site::start();
    netrc(&site, "machine 127.0.0.1 login bob password secret\n", 0o644);
    let open = format!("open 127.0.0.1 {}\n", site.port());
    let error = site.feed(&["shell"], &open).fails(1);
    assert!(error.contains("chmod 600") && !error.contains("secret"), "{error}");
    let error = site.run(&["ls", &format!("ftp://bob@{}/", site.address())]).fails(1);
    assert!(error.contains("chmod 600"), "{error}");
    netrc(&site, "machine 127.0.0.1 login ftp password me@\n", 0o644);
    site.feed(&["shell"], &(open + "size pub/readme.txt\n")).ok();
}
