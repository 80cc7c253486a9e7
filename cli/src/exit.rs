//! Exit codes, for scripts: 0 done, 1 failed, 2 wrong usage or configuration, 3 nobody answered.
//!
//! The reason of a failure is one line on stderr. A closed pipe is not an error: it ends the command quietly.

use std::process::ExitCode;

use weir_client::ClientError;

use crate::config::ConfigError;
use crate::output::StdoutError;

pub(crate) const FAILED: u8 = 1;
/// The code of clap, too.
const WRONG_USAGE: u8 = 2;
/// Worth trying again later.
const UNREACHABLE: u8 = 3;

/// Says what went wrong and gives the process's exit code.
pub(crate) fn code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref::<StdoutError>().is_some_and(StdoutError::is_closed_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {}", in_words(&error));
            ExitCode::from(failure(&error))
        }
    }
}

/// The error and its causes, but for those that an error before has told already.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}

fn failure(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<ConfigError>().is_some() {
        return WRONG_USAGE;
    }
    let is_unreachable = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Connect { .. } | ClientError::TimedOut { .. } | ClientError::Broken { .. }) => true,
        Some(_) => false,
        None => error.downcast_ref::<reqwest::Error>().is_some_and(|error| error.is_connect() || error.is_timeout()),
    };
    if is_unreachable { UNREACHABLE } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = ClientError::Connect { address: "h:1".to_owned(), source: refused() };
        let text = in_words(&anyhow::Error::from(error).context("asking"));
        assert_eq!(text.matches(&refused().to_string()).count(), 1, "{text}");
        assert!(text.starts_with("asking: h:1: "), "{text}");
    }

    #[test]
    fn scripts_can_tell_failures_apart() {
        let timed_out = ClientError::TimedOut { address: String::new(), limit: std::time::Duration::ZERO };
        assert_eq!(failure(&timed_out.into()), UNREACHABLE);
        assert_eq!(failure(&ConfigError::new("x").into()), WRONG_USAGE);
        assert_eq!(failure(&anyhow::anyhow!("x")), FAILED);
    }
}
