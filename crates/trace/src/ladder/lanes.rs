//! Lifelines: a port of a host. Where there are too many, they share columns.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An index into [`Ladder::lanes`](super::Ladder::lanes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// Whose lane it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The name server.
    Dns,
    /// The FTP server.
    Server,
    /// The FTP client's host.
    Client,
    /// The person at the console.
    User,
}

impl Role {
    /// The name in [`LaneName`]s.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Dns => "dns",
            Role::Server => "server",
            Role::Client => "client",
            Role::User => "user",
        }
    }

    /// The host's name over its lanes.
    pub const fn title(self) -> &'static str {
        match self {
            Role::Dns => "DNS",
            Role::Server => "FTP Server",
            Role::Client => "FTP Client PC",
            Role::User => "User",
        }
    }

    /// The name of the group that the host stands in.
    pub const fn group(self) -> &'static str {
        match self {
            Role::Dns | Role::Server => "Internet",
            Role::Client => "Client",
            Role::User => "Console",
        }
    }
}

/// What a lane's connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneUse {
    /// Queries to a name server.
    Dns,
    /// Commands and replies.
    Control,
    /// Files and listings.
    Data,
    /// The user's.
    Console,
}

impl LaneUse {
    const fn name(self) -> &'static str {
        match self {
            LaneUse::Dns => "dns",
            LaneUse::Control => "control",
            LaneUse::Data => "data",
            LaneUse::Console => "user",
        }
    }
}

/// A lifeline: one port of one side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lane {
    /// Whose it is.
    pub role: Role,
    /// What its connections are for.
    pub of: LaneUse,
    /// The port; none for the user and where it is not known.
    pub port: Option<u16>,
    /// The address, where it is known.
    pub address: Option<IpAddr>,
}

impl Lane {
    /// The port as the head of the lane: `21`, `User`, `?`.
    pub fn label(&self) -> String {
        match (self.role, self.port) {
            (Role::User, _) => Role::User.title().to_owned(),
            (_, Some(port)) => port.to_string(),
            (_, None) => "?".to_owned(),
        }
    }

    /// The lane's name: `server:21`, `user`.
    pub fn name(&self) -> LaneName {
        LaneName { role: self.role, port: self.port }
    }
}

/// Names a lane, or all lanes of a host: `server:21`, `client`, `user`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneName {
    /// Whose lane.
    pub role: Role,
    /// Its port; none for all of them, or for one that is not known.
    pub port: Option<u16>,
}

impl LaneName {
    /// Whether `lane` is meant: a name without a port means all of a host's.
    pub fn means(&self, lane: &Lane) -> bool {
        self.role == lane.role && (self.port.is_none() || self.port == lane.port)
    }
}

impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.name())?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// A lane's name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no lane: use dns, server, client or user, and a port where one is meant, as in server:21")]
pub struct LaneNameError(String);

impl FromStr for LaneName {
    type Err = LaneNameError;

    fn from_str(text: &str) -> Result<LaneName, LaneNameError> {
        let no_lane = || LaneNameError(crate::words::clip(&crate::words::shown(text.as_bytes()), 60));
        let (role, port) = match text.split_once(':') {
            Some((role, port)) => (role, Some(port.parse().map_err(|_| no_lane())?)),
            None => (text, None),
        };
        let roles = [Role::Dns, Role::Server, Role::Client, Role::User];
        let role = roles.into_iter().find(|r| r.name().eq_ignore_ascii_case(role)).ok_or_else(no_lane)?;
        Ok(LaneName { role, port })
    }
}

/// One or more lanes that are drawn as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Whose it is.
    pub role: Role,
    /// What its connections are for.
    pub of: LaneUse,
    /// Its head: `21`, `data (171)`.
    pub label: String,
    /// How many lanes it stands for.
    pub lanes: usize,
}

/// Lanes as columns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Columns {
    /// From left to right.
    pub columns: Vec<Column>,
    of_lane: Vec<usize>,
}

impl Columns {
    /// Folds the lanes of one host and use together, those that are most numerous first, until there are no more than
    /// `most` columns or nothing is left to fold.
    pub(super) fn new(lanes: &[Lane], most: usize) -> Columns {
        // Lanes of one host and use are neighbours, but for the server's own data port that stands before its control
        // port: groups are by key, their place that of their first lane.
        let mut groups: Vec<((Role, LaneUse), usize)> = Vec::new();
        for lane in lanes {
            let key = (lane.role, lane.of);
            match groups.iter_mut().find(|(k, _)| *k == key) {
                Some((_, count)) => *count += 1,
                None => groups.push((key, 1)),
            }
        }
        let mut folded: Vec<(Role, LaneUse)> = Vec::new();
        let mut count = lanes.len();
        groups.sort_by_key(|&(key, n)| (std::cmp::Reverse(n), std::cmp::Reverse(key)));
        for &(key, n) in groups.iter().filter(|(_, n)| *n > 1) {
            if count <= most {
                break;
            }
            folded.push(key);
            count -= n - 1;
        }
        let mut columns: Vec<Column> = Vec::new();
        let mut of_lane = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let key = (lane.role, lane.of);
            let shared = if folded.contains(&key) { columns.iter().position(|c| (c.role, c.of) == key) } else { None };
            of_lane.push(shared.unwrap_or(columns.len()));
            match shared.and_then(|at| columns.get_mut(at)) {
                Some(column) => {
                    column.lanes += 1;
                    column.label = format!("{} ({})", lane.of.name(), column.lanes);
                }
                None => columns.push(Column { role: lane.role, of: lane.of, label: lane.label(), lanes: 1 }),
            }
        }
        Columns { columns, of_lane }
    }

    /// A column for each host and use: its head is the port, where there is but one.
    pub(super) fn by_use(lanes: &[Lane]) -> Columns {
        let mut columns = Columns::new(lanes, 0);
        for column in columns.columns.iter_mut().filter(|column| column.lanes > 1) {
            column.label = column.of.name().to_owned();
        }
        columns
    }

    /// The column that a lane is drawn in.
    pub fn of(&self, lane: LaneId) -> usize {
        self.of_lane.get(lane.0).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lanes() {
        let name: LaneName = "server:21".parse().unwrap();
        assert_eq!(name, LaneName { role: Role::Server, port: Some(21) });
        assert_eq!(name.to_string(), "server:21");
        assert_eq!("USER".parse::<LaneName>().unwrap().role, Role::User);
        for bad in ["", "server:", "server:x", "server:99999", "somebody:21"] {
            assert!(bad.parse::<LaneName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn many_data_ports_share_a_column() {
        let lane = |role, of, port| Lane { role, of, port: Some(port), address: None };
        let mut lanes = vec![
            lane(Role::Server, LaneUse::Data, 20),
            lane(Role::Server, LaneUse::Control, 21),
            lane(Role::Client, LaneUse::Control, 1175),
        ];
        lanes.extend((0..171).map(|i| lane(Role::Client, LaneUse::Data, 5001 + i)));
        let columns = Columns::new(&lanes, 12);
        let labels: Vec<&str> = columns.columns.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["20", "21", "1175", "data (171)"]);
        assert_eq!(columns.of(LaneId(100)), 3);
        assert_eq!(Columns::new(&lanes, 1000).columns.len(), 174);
        let labels: Vec<String> = Columns::by_use(&lanes).columns.into_iter().map(|c| c.label).collect();
        assert_eq!(labels, ["20", "21", "1175", "data"]);
    }
}
