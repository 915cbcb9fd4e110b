//! `parlante healthcheck`: asks the running server whether it is ready; for Docker and systemd.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use crate::settings::{Settings, Source};

/// Docker and systemd wait a few seconds; a server that is well answers within milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(3);

pub(super) fn run(config: Option<PathBuf>) -> Result<(), Failure> {
    let server = Settings::server(&Source::from_process(config)).map_err(Failure::wrong)?;
    let url = format!("http://{}/health/ready", server.reachable());
    actix_rt::System::new().block_on(async move {
        let client = awc::Client::builder().timeout(ANSWER_MAX).disable_redirects().finish();
        match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Failure::failed(format!(
                "{url} answers {}: the server drains, or its ledger does not commit; look at its log",
                answer.status().as_u16()
            ))),
            Err(error) => Err(Failure::failed(format!(
                "no server answers at {url} ({error}); set HOST and PORT as for it"
            ))),
        }
    })
}
