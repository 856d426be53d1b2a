//! `gate`: an FTP gateway of the TIS kind, which is connected to in the server's place and told where to go on to (PASSERVE).

use super::settings::on_off;
use super::words::Words;
use super::{Console, Flow};
use crate::exit::Fault;

/// The port where FTPSERVERPORT tells none.
const PORT: u16 = 21;

/// The gateway, and whether `open` goes through it.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    on: bool,
    server: Option<(String, u16)>,
}

impl Gate {
    /// As FTPSERVER and FTPSERVERPORT in the environment say.
    pub(super) fn from_environment() -> Gate {
        let server = std::env::var("FTPSERVER").ok().filter(|server| !server.is_empty());
        let port = std::env::var("FTPSERVERPORT").ok().and_then(|port| port.parse().ok()).unwrap_or(PORT);
        Gate { on: false, server: server.map(|server| (server, port)) }
    }

    /// As `gate on`; where no gateway is known, nothing changes.
    pub(super) fn switch_on(&mut self) {
        self.on = self.server.is_some();
    }

    /// Where to connect to, where that is not the server itself.
    pub(super) fn server(&self) -> Option<(String, u16)> {
        self.server.clone().filter(|_| self.on)
    }

    /// The line that tells of it.
    pub(super) fn line(&self) -> String {
        let on = on_off(self.on);
        match &self.server {
            Some((server, port)) => format!("Gate ftp: {on}, server {server}, port {port}."),
            None => format!("Gate ftp: {on}, server (none), port {PORT}."),
        }
    }
}

/// `gate [on|off|HOST [PORT]]`.
pub(super) async fn gate(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let gate = &mut console.gate;
    match words.list.as_slice() {
        [] => gate.on = !gate.on,
        [word] if word.eq_ignore_ascii_case("on") => gate.on = true,
        [word] if word.eq_ignore_ascii_case("off") => gate.on = false,
        [host, port @ ..] => {
            let port = port.first().map_or(Ok(PORT), |port| port.parse::<u16>());
            let port = port.map_err(|_| Fault::usage("the port is no number from 1 to 65535"))?;
            *gate = Gate { on: true, server: Some((host.clone(), port)) };
        }
    }
    if gate.on && gate.server.is_none() {
        gate.on = false;
        return Err(Fault::usage("Disabling gate-ftp mode - no gate-ftp server defined.").into());
    }
    console.out.line(console.gate.line());
    Ok(Flow::Continue)
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;

    #[tokio::test]
    async fn a_gate_wants_a_server() {
        let (mut console, memory) = console();
        console.gate = super::Gate::default();
        assert!(console.run_line("gate").await.unwrap_err().to_string().contains("no gate-ftp server"));
        for line in ["gate foo 99", "gate", "gate on"] {
            console.run_line(line).await.unwrap();
        }
        let line = |on| format!("Gate ftp: {on}, server foo, port 99.\n");
        assert_eq!(memory.text(), line("on") + &line("off") + &line("on"));
        assert_eq!(console.gate.server(), Some(("foo".to_owned(), 99)));
    }
}
