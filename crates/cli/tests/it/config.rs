//! The configuration file, and what is generated.

use super::support::{Ran, feed, port21};

fn run(args: &[&str]) -> Ran {
    let here = tempfile::tempdir().unwrap();
    Ran::new(port21(here.path()).args(args).output().unwrap())
}

#[test]
fn the_default_passes_the_check_and_a_mistake_does_not() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("port21.toml");
    let default = run(&["config", "default"]).ok().replace("/srv/ftp", here.path().to_str().unwrap());
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        run(&["config", "check", file.to_str().unwrap()])
    };
    check(&default).ok();
    let line = default.lines().position(|line| line.starts_with("idle")).unwrap() + 1;
    let error = check(&default.replace("idle =", "idel =")).fails(2);
    assert!(error.contains(&format!("port21.toml:{line}: ")) && error.contains("`timeouts.idel`"), "{error}");
    let error = check(&default.replace("write = false", "write = \"no\"")).fails(2);
    assert!(error.contains("`accounts.write`"), "{error}");
    let line = default.lines().position(|line| line.starts_with("root")).unwrap() + 1;
    let error = check(&default.replace("root = \"", "root = \"/nowhere")).fails(2);
    assert!(error.contains(&format!("port21.toml:{line}: `site.root`: /nowhere")), "{error}");
    // All mistakes at once, in the order of the file.
    let both = default.replace("root = \"", "root = \"/nowhere").replace("connections = 2000", "connections = -1");
    let ran = check(&both);
    let told: Vec<&str> = ran.err.lines().collect();
    assert!(ran.code == Some(2) && told.len() == 2, "{ran:?}");
    assert!(told[0].contains("`site.root`") && told[1].contains("`limits.connections`"), "{told:?}");
    run(&["config", "check", "/nowhere/port21.toml"]).fails(1);
}

/// What the text names has to be there too, in whichever way it is asked for.
#[test]
fn certificates_users_and_names_are_looked_at() {
    let here = tempfile::tempdir().unwrap();
    let dir = here.path();
    let file = dir.join("port21.toml");
    let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(dir.join("chain.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(dir.join("other.pem"), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let run = |args: &[&str], text: &str| {
        std::fs::write(&file, text.replace("DIR", dir.to_str().unwrap())).unwrap();
        Ran::new(port21(dir).args(args).output().unwrap())
    };
    let check = |text: &str| run(&["config", "check", "port21.toml"], text);
    let text = "[site]\nroot = \"DIR\"\n[anonymous]\nenabled = true\n[tls]\nmode = \"offer\"\n[[listen]]\n\
                address = \"127.0.0.1:0\"\n[[certificate]]\nchain = \"DIR/chain.pem\"\nkey = \"DIR/key.pem\"\n";
    let ran = check(text);
    assert!(
        ran.err.contains("warning: port21.toml:10: `certificate.chain`: ") && ran.err.contains("has expired"),
        "{ran:?}"
    );
    assert!(ran.ok().contains("no mistakes"));
    for (key, why) in [("other.pem", "is not that of the certificate"), ("nowhere.pem", "cannot read")] {
        let text = text.replace("key.pem", key);
        let named = format!("port21.toml:11: `certificate.key`: {}", if key == "other.pem" { "the key" } else { why });
        let told = |ran: Ran, code| {
            assert_eq!(ran.code, Some(code), "{ran:?}");
            assert!(ran.err.contains(&named) && ran.err.contains(why), "{ran:?}, not {named}");
        };
        told(check(&text), 2);
        told(run(&["serve", "--check", "--config", "port21.toml"], &text), 1);
        told(run(&["serve", "--config", "port21.toml"], &text), 1);
    }
    // A flag is not in the file.
    let flags = ["serve", "--check", "--config", "port21.toml", "--cert", "chain.pem", "--key", "other.pem"];
    let error = run(&flags, text).err;
    assert!(error.contains("port21: `certificate.key`: the key in other.pem"), "{error}");

    let text = "[site]\nroot = \"DIR\"\n[anonymous]\nenabled = true\n[sandbox]\nuser = \"no such\"\n[[listen]]\n\
                address = \"127.0.0.1:0\"\n";
    let named = "port21.toml:6: `sandbox.user`: this machine has no user no such";
    assert!(check(text).fails(2).contains(named));
    let ran = run(&["serve", "--config", "port21.toml"], text);
    assert!(ran.code == Some(2) && ran.err.contains(named), "{ran:?}");
    let ran = run(&["serve", "--check", "--config", "port21.toml"], text);
    assert!(ran.code == Some(1) && ran.err.contains(named), "{ran:?}");

    let text = "[site]\nroot = \"DIR\"\n[anonymous]\nenabled = true\n[passive]\nadvertise = \"nowhere.invalid\"\n[[listen]]\n\
                address = \"127.0.0.1:0\"\n";
    let named = "port21.toml:6: `passive.advertise`: cannot resolve nowhere.invalid";
    let ran = check(text);
    assert!(ran.code == Some(0) && ran.err.contains(&format!("warning: {named}")), "{ran:?}");
    let ran = run(&["serve", "--check", "--config", "port21.toml"], text);
    assert!(ran.code == Some(0) && ran.err.contains(named), "{ran:?}");
    let error = check(&text.replace("nowhere.invalid", "2001:db8::1")).fails(2);
    assert!(error.contains("port21.toml:6: `passive.advertise`: 2001:db8::1 is no IPv4 address"), "{error}");
}

#[test]
fn completions_and_the_manual() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).ok().contains("port21"));
    }
    assert!(run(&["man"]).ok().contains("Exit codes"));
    let here = tempfile::tempdir().unwrap();
    feed(
        {
            let mut c = port21(here.path());
            c.args(["man", "--out", "pages"]);
            c
        },
        "",
    )
    .ok();
    assert!(here.path().join("pages/port21-serve.1").exists());
    let help = run(&["--help"]).ok();
    for command in ["demo", "serve", "shell", "trace", "completions"] {
        assert!(help.contains(command), "{help}");
    }
}
