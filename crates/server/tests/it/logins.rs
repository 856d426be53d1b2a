//! Failed logins: what they lead to, and what they do not.

use std::sync::Arc;
use std::time::Duration;

use port21_proto::server::LoginError;
use port21_server::account::guard::{GuardSettings, Tried};
use port21_server::storage::BoxFuture;
use port21_server::{Account, Attempt, Authenticator, Settings};
use tokio::sync::Semaphore;

use crate::site::{LATE, Raw, Site};

fn site(settings: GuardSettings) -> Site {
    let guard = GuardSettings { delay: Duration::ZERO, ..settings };
    Site::with(Settings { guard, ..Site::settings() })
}

fn fail(raw: &mut Raw, user: &str) {
    raw.command(&format!("USER {user}"), 331);
    raw.command("PASS wrong", 530);
}

#[test]
fn an_address_that_fails_often_is_turned_away_until_the_ban_is_lifted() {
    let site = site(GuardSettings { address_failures: 3, ..GuardSettings::default() });
    let mut first = site.connect();
    fail(&mut first, "user");
    fail(&mut first, "nobody");
    first.command("USER user", 331);
    first.command("PASS wrong", 421);
    let mut second = Raw::silent(site.addr);
    assert!(second.expect(421).contains("failed logins"));
    let bans = site.handle.guard().bans();
    assert_eq!((bans.len(), bans[0].from.as_ref(), bans[0].failures), (1, None, 3));
    assert!(site.handle.guard().lift(bans[0].address));
    site.login();
}

#[test]
fn who_was_in_before_the_ban_stays_and_strangers_at_their_place_fail_with_the_right_password() {
    let site = site(GuardSettings { address_failures: 2, ..GuardSettings::default() });
    let (mut inside, mut waits, mut bad) = (site.login(), site.connect(), site.connect());
    fail(&mut bad, "x");
    fail(&mut bad, "y");
    inside.command("PWD", 257);
    waits.command("USER user", 331);
    assert!(waits.command("PASS secret", 530).contains("Login incorrect"));
}

/// Else a hundred connections would have a hundred tries.
#[test]
fn tries_at_once_are_no_more_than_tries_in_turn() {
    let site = site(GuardSettings { address_failures: 2, ..GuardSettings::default() });
    let (mut right, mut wrong) = (site.connect(), site.connect());
    right.command("USER late", 331);
    right.send("PASS secret\r\n");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // It was let through: there was no failure yet.
    runtime.block_on(LATE.arrived.acquire()).unwrap().forget();
    fail(&mut wrong, "x");
    fail(&mut wrong, "y");
    LATE.may_go_on.add_permits(1);
    right.expect(530);
}

/// An authenticator that fails: for `waits` as late as the test wants.
struct Broken {
    arrived: Semaphore,
    may_go_on: Semaphore,
}

impl Authenticator for Broken {
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(async move {
            if attempt.user == b"waits" {
                self.arrived.add_permits(1);
                let _ = self.may_go_on.acquire().await;
            }
            Err(LoginError::Unavailable)
        })
    }
}

/// Else passwords could be guessed for as long as the directory of the other accounts is down.
#[test]
fn wrong_passwords_count_while_another_authenticator_fails() {
    let guard = GuardSettings { address_failures: 3, delay: Duration::ZERO, ..GuardSettings::default() };
    let broken = Arc::new(Broken { arrived: Semaphore::new(0), may_go_on: Semaphore::new(0) });
    let site = Site::asking(vec![broken.clone()], Settings { guard, ..Site::settings() });
    let mut waits = site.connect();
    waits.command("USER waits", 331);
    waits.send("PASS wrong\r\n");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(broken.arrived.acquire()).unwrap().forget();
    // Whether somebody has the name makes no difference.
    let answers = ["user", "nobody", "user"].map(|name| {
        let mut raw = site.connect();
        raw.command(&format!("USER {name}"), 331);
        raw.command("PASS wrong", 421)
    });
    assert!(answers[0].contains("the accounts cannot be asked") && answers.iter().all(|answer| *answer == answers[0]));
    let bans = site.handle.guard().bans();
    assert_eq!((bans.len(), bans[0].from.as_ref(), bans[0].failures), (1, None, 3));
    assert!(Raw::silent(site.addr).expect(421).contains("failed logins"));
    // Who was on the way is answered as the right password would be.
    broken.may_go_on.add_permits(1);
    assert!(waits.expect(530).contains("Login incorrect"));
    assert!(site.handle.guard().lift(bans[0].address));
    site.login();
}

#[test]
fn an_account_under_attack_lets_its_owner_in() {
    let site = site(GuardSettings { address_failures: 0, account_failures: 2, ..GuardSettings::default() });
    site.login();
    let mut bad = site.connect();
    fail(&mut bad, "user");
    fail(&mut bad, "user");
    // This address has logged in as `user` before: its mistakes ban nobody.
    site.login();
    fail(&mut site.connect(), "single");
    fail(&mut site.connect(), "single");
    let mut stranger = site.connect();
    stranger.command("USER single", 331);
    stranger.command("PASS secret", 530);
    let from = site.handle.guard().bans().remove(0).from.unwrap();
    assert_eq!((from.site, from.user.as_slice()), (None, &b"single"[..]));
    assert!(site.handle.guard().lift_account(Tried { site: None, user: b"single" }));
    stranger.command("USER single", 331);
    stranger.command("PASS secret", 230);
}

#[test]
fn guests_prove_nothing() {
    let site = site(GuardSettings { address_failures: 2, ..GuardSettings::default() });
    let mut raw = site.connect();
    fail(&mut raw, "user");
    raw.command("USER anonymous", 331);
    raw.command("PASS me@", 230);
    fail(&mut raw, "user");
    Raw::silent(site.addr).expect(421);
}
