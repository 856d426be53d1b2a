//! The prompt: `set prompt`, with what `%` stands for.

use port21_proto::text::Shown;

use super::Console;

/// The prompt while a macro is defined.
const IN_MACRO: &str = "macro> ";

/// What a prompt may tell of the session.
#[derive(Default)]
struct Facts {
    directory: String,
    host: String,
    user: String,
}

impl Console {
    /// The prompt for the next line. The server is asked for the working directory where the prompt has it.
    pub(super) async fn prompt_text(&mut self) -> String {
        if self.macros.is_defining() {
            return IN_MACRO.to_owned();
        }
        let template = self.options.get("prompt");
        if !template.contains('%') {
            return template;
        }
        let wants_directory = ["%/", "%c", "%."].iter().any(|wanted| template.contains(wanted));
        if wants_directory && self.directory.is_none() && self.session.as_ref().is_some_and(|s| s.client.is_logged_in())
        {
            let shown = self.replies.set(false);
            let told = match self.client() {
                Ok(client) => client.pwd().await.ok(),
                Err(_) => None,
            };
            self.replies.set(shown);
            self.directory = Some(told.unwrap_or_default());
        }
        let session = self.session.as_ref();
        let facts = Facts {
            directory: session.and(self.directory.as_ref()).map(|path| Shown(path).to_string()).unwrap_or_default(),
            host: session.map(|session| Shown(session.host.as_bytes()).to_string()).unwrap_or_default(),
            user: session
                .and_then(|session| session.credentials.as_ref())
                .map(|who| Shown(who.user.as_bytes()).to_string())
                .unwrap_or_default(),
        };
        filled(&template, &facts)
    }
}

/// `%/` is the directory, `%c` and `%.` its last part (or so many, `%c2`; with a 0 before that, and what was left out before them),
/// `%M` the host, `%m` its first part, `%n` the user, `%%` itself.
fn filled(template: &str, facts: &Facts) -> String {
    let mut out = String::new();
    let mut rest = template.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('/') => out += &facts.directory,
            Some(kind @ ('c' | '.')) => {
                let tells = rest.next_if_eq(&'0').is_some();
                let count = rest.next_if(char::is_ascii_digit).and_then(|digit| digit.to_digit(10)).unwrap_or(1);
                out += &trailing(&facts.directory, count as usize, tells.then_some(kind));
            }
            Some('M') => out += &facts.host,
            Some('m') => out += facts.host.split('.').next().unwrap_or_default(),
            Some('n') => out += &facts.user,
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

fn trailing(directory: &str, count: usize, tells: Option<char>) -> String {
    let parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return directory.to_owned();
    }
    let left_out = parts.len().saturating_sub(count.max(1));
    let last = parts.get(left_out..).unwrap_or_default().join("/");
    match tells {
        Some('c') if left_out > 0 => format!("/<{left_out}>{last}"),
        Some(_) if left_out > 0 => format!("...{last}"),
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_prompt_tells() {
        let facts = Facts { directory: "/a/b/c".to_owned(), host: "ftp.any.com".to_owned(), user: "bob".to_owned() };
        for (template, want) in [
            ("%n@%m:%/> ", "bob@ftp:/a/b/c> "),
            ("%M %c %c2 %.", "ftp.any.com c b/c c"),
            ("%c01 %.02 %.09", "/<2>c ...b/c a/b/c"),
            ("100%% %x %", "100% %x %"),
        ] {
            assert_eq!(filled(template, &facts), want, "{template}");
        }
        assert_eq!(filled("%c>", &Facts { directory: "/".to_owned(), ..Facts::default() }), "/>");
    }
}
