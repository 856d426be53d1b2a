//! The server's end and the helper's, in one process: what is done, and what is refused.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use clap::Parser as _;

use super::named::{Named, Names};
use super::process::Duty;
use super::*;
use crate::args::serve::ServeArgs;
use crate::args::{Args, Command as Parsed};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn args(config: &Path) -> ServeArgs {
    let line = [Path::new("port21"), Path::new("serve"), Path::new("--config"), config];
    match Args::try_parse_from(line.map(Path::as_os_str)).unwrap().command {
        Parsed::Serve(args) => *args,
        _ => panic!(),
    }
}

/// A helper for what is named, and the task that it is.
fn helper(named: Named, config: &Path) -> (Helper, tokio::task::JoinHandle<()>) {
    let (here, there) = UnixStream::pair().unwrap();
    for stream in [&here, &there] {
        stream.set_nonblocking(true).unwrap();
    }
    let duty = Duty { names: Mutex::new(Names::new(named)), run_as: None, args: args(config) };
    let (read, write) = tokio::net::UnixStream::from_std(there).unwrap().into_split();
    let process = tokio::spawn(Arc::new(duty).serve(read, write));
    (Started { stream: here, process: None, patience: Patience::default() }.connect().unwrap(), process)
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

async fn done<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it hangs")
}

#[tokio::test]
async fn what_is_named_is_done_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (key, other) = (dir.path().join("key.pem"), dir.path().join("other.pem"));
    std::fs::write(&key, "a key").unwrap();
    std::fs::write(&other, "another").unwrap();
    let echo = shell("cat; exit 3");
    let named = Named { programs: vec![echo.clone()], files: vec![key.clone()], hosts: vec!["localhost".to_owned()] };
    let (helper, _process) = helper(named, &key);

    assert_eq!(done(helper.read(&key)).await.unwrap(), "a key");
    let ended = done(helper.run(&echo, "some \u{1f5ce} input\n", true)).await.unwrap();
    assert_eq!((ended.status().code(), ended.output()), (Some(3), "some \u{1f5ce} input\n"));
    assert_eq!(done(helper.run(&echo, "x", false)).await.unwrap().output(), "");
    assert!(done(helper.resolve("localhost")).await.unwrap().iter().all(IpAddr::is_loopback));

    let waited = {
        let (helper, key) = (helper.clone(), key.clone());
        tokio::task::spawn_blocking(move || (helper.read_and_wait(&key), helper.look_and_wait(&key)))
    };
    let (text, stamp) = done(waited).await.unwrap();
    assert_eq!((text.unwrap().as_str(), stamp.unwrap()), ("a key", deeds::look_and_wait(&key).unwrap()));

    let denied = |result: io::Result<()>| {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("does not name it"), "{error}");
    };
    denied(done(helper.read(&other)).await.map(drop));
    // The same file by another name is not named.
    denied(done(helper.read(&dir.path().join(".").join("key.pem"))).await.map(drop));
    denied(done(helper.run(&shell("exit 0"), "", false)).await.map(drop));
    denied(done(helper.run(&echo[..2], "", false)).await.map(drop));
    denied(done(helper.run(&[], "", false)).await.map(drop));
    denied(done(helper.resolve("example.com")).await.map(drop));

    // Errors are those of the system.
    std::fs::remove_file(&key).unwrap();
    assert_eq!(done(helper.read(&key)).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn many_at_a_time_and_each_gets_its_own() {
    let program = shell("read a; [ $a = 0 ] && read b; echo $a");
    let (helper, _process) = helper(Named { programs: vec![program.clone()], ..Named::default() }, Path::new("x"));
    // The first does not end before the others have: it waits for a line that never comes until it is dropped.
    let first = {
        let (helper, program) = (helper.clone(), program.clone());
        tokio::spawn(async move { helper.run(&program, "0\n", true).await.map(|_| ()) })
    };
    let mut others = tokio::task::JoinSet::new();
    for n in 1..20 {
        let (helper, program) = (helper.clone(), program.clone());
        others.spawn(async move { (n, helper.run(&program, &format!("{n}\n"), true).await) });
    }
    while let Some(ran) = done(others.join_next()).await {
        let (n, ended) = ran.unwrap();
        assert_eq!(ended.unwrap().output(), format!("{n}\n"));
    }
    assert!(done(first).await.unwrap().is_ok());
}

#[tokio::test]
async fn whoever_does_not_wait_any_more_has_the_program_killed() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // It says that it runs, and would never end. The FIFO is opened once: one that nobody writes to for a moment counts as
    // closed from then on, and would be asked again without an end.
    let program = shell(&format!("exec > {}; echo running; exec sleep 1000", fifo.display()));
    let (helper, _process) = helper(Named { programs: vec![program.clone()], ..Named::default() }, Path::new("x"));
    let running = tokio::spawn(async move { helper.run(&program, "", false).await.map(drop) });
    let pipe = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        done(pipe.readable()).await.unwrap();
        let mut some = [0; 64];
        match pipe.try_read(&mut some) {
            Ok(n) => said.extend_from_slice(&some[..n]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    running.abort();
    // Nothing holds the other end any more: neither the shell nor what it has become.
    let ended = async {
        loop {
            pipe.readable().await.unwrap();
            match pipe.try_read(&mut [0; 64]) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    };
    done(ended).await;
}

#[tokio::test]
async fn a_helper_that_is_gone_is_noticed_by_all_who_wait() {
    let program = shell("read a; sleep 1000");
    let (helper, process) = helper(Named { programs: vec![program.clone()], ..Named::default() }, Path::new("x"));
    let waiting = {
        let helper = helper.clone();
        tokio::spawn(async move { helper.run(&program, "", false).await.map(drop) })
    };
    tokio::task::yield_now().await;
    assert_eq!((helper.wrong(), Helper::default().wrong()), (None, None));
    process.abort();
    assert_eq!(done(waiting).await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(helper.wrong().unwrap().contains("is gone"));
    assert_eq!(done(helper.read(Path::new("x"))).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

/// Ticks as fast as can be: nothing here that is to be done in time takes longer than one that has to be late.
const IMPATIENT: Patience = Patience { tick: Duration::from_millis(1), every: 1, silence: 50, file: 20, name: 20 };

/// A helper that is only a pair of sockets so far.
fn unborn(patience: Patience) -> (Helper, tokio::net::UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    for stream in [&here, &there] {
        stream.set_nonblocking(true).unwrap();
    }
    let there = tokio::net::UnixStream::from_std(there).unwrap();
    (Started { stream: here, process: None, patience }.connect().unwrap(), there)
}

#[tokio::test]
async fn a_helper_that_does_not_answer_is_noticed_and_may_come_to_itself() {
    // A program is waited for by who runs it: it is told by the silence alone.
    let program = shell("exit 0");
    let (helper, there) = unborn(IMPATIENT);
    let mut healths = helper.connection.as_ref().unwrap().healths();
    assert_eq!(helper.wrong(), None);
    let error = done(helper.run(&program, "", false)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(helper.wrong().unwrap().contains("does not answer"));
    // It is not asked in vain.
    let waited = {
        let helper = helper.clone();
        tokio::task::spawn_blocking(move || helper.look_and_wait(Path::new("x")))
    };
    assert_eq!(done(waited).await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);

    let named = Named { programs: vec![program.clone()], ..Named::default() };
    let duty = Duty { names: Mutex::new(Names::new(named)), run_as: None, args: args(Path::new("x")) };
    let (read, write) = there.into_split();
    let process = tokio::spawn(Arc::new(duty).serve(read, write));
    done(healths.wait_for(|health| *health == Health::Well)).await.unwrap();
    process.abort();
    done(healths.wait_for(|health| *health == Health::Gone)).await.unwrap();
    assert!(helper.wrong().unwrap().contains("is gone"));
}

/// A file system may hang, and the helper be as well as ever.
#[tokio::test]
async fn each_request_has_its_time_and_is_taken_back_then() {
    use tokio::io::AsyncWriteExt as _;

    let (helper, there) = unborn(Patience { silence: u32::MAX, ..IMPATIENT });
    // It says that it is there, and nothing else.
    let (read, mut write) = there.into_split();
    let mut requests = message::Reader::new(read);
    let answering = async {
        let mut taken_back = Vec::new();
        while taken_back.len() < 3 {
            let message::Request { id, task } = requests.next().await.unwrap().unwrap();
            match task {
                Task::Ping => {
                    let answer = message::Answer { id, result: Ok(Done::Here) };
                    write.write_all(&message::write(&answer).unwrap()).await.unwrap();
                }
                Task::Cancel(id) => taken_back.push(id),
                _ => {}
            }
        }
        taken_back.sort_unstable();
        taken_back
    };
    let waited = {
        let helper = helper.clone();
        tokio::task::spawn_blocking(move || helper.read_and_wait(Path::new("x")).map(drop))
    };
    let asking =
        async { (helper.read(Path::new("x")).await.map(drop), helper.resolve("x").await.map(drop), waited.await) };
    let ((read, resolved, waited), taken_back) = done(async { tokio::join!(asking, answering) }).await;
    for error in [read, resolved, waited.unwrap()].map(Result::unwrap_err) {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("no answer yet"), "{error}");
    }
    assert_eq!((taken_back, helper.wrong()), (vec![1, 2, 3], None));
}

#[tokio::test]
async fn a_helper_that_nobody_asks_any_more_ends() {
    let (helper, process) = helper(Named::default(), Path::new("x"));
    drop(helper);
    done(process).await.unwrap();
}

#[tokio::test]
async fn a_new_configuration_names_anew() {
    let dir = tempfile::tempdir().unwrap();
    let config: PathBuf = dir.path().join("port21.toml");
    let write = |host: &str| {
        let text = format!("site.root = {:?}\nanonymous.enabled = true\npassive.advertise = {host:?}\n", dir.path());
        std::fs::write(&config, &text).unwrap();
        text
    };
    write("first.invalid");
    let named = Named { files: vec![config.clone()], hosts: vec!["first.invalid".to_owned()], ..Named::default() };
    let (helper, _process) = helper(named, &config);
    let text = write("second.invalid");
    let names = async |host: &str| match helper.resolve(host).await {
        Err(error) => !error.to_string().contains("does not name it"),
        Ok(_) => true,
    };
    // It takes nobody's word for it.
    assert!(!done(names("second.invalid")).await);
    assert_eq!(done(helper.read(&config)).await.unwrap(), text);
    // Until the server has taken the new one, or refused it, both hold.
    assert!(done(names("second.invalid")).await && done(names("first.invalid")).await);
    done(helper.adopt()).await.unwrap();
    assert!(done(names("second.invalid")).await && !done(names("first.invalid")).await);
    // One that is wrong is for the server to judge.
    std::fs::write(&config, "nonsense").unwrap();
    assert_eq!(done(helper.read(&config)).await.unwrap(), "nonsense");
    assert!(done(names("second.invalid")).await);
}

#[tokio::test]
async fn without_a_helper_it_is_done_here() {
    let helper = Helper::default();
    let ended = done(helper.run(&shell("cat"), "x", true)).await.unwrap();
    assert_eq!((ended.status().code(), ended.output()), (Some(0), "x"));
    assert!(done(helper.read(Path::new("/nowhere"))).await.is_err());
    assert!(!done(helper.resolve("localhost")).await.unwrap().is_empty());
    helper.adopt().await.unwrap();
}
