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
