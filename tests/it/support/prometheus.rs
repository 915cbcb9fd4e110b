//! A real Prometheus, Debian's: it reads a server's `/metrics` twice a second, and may watch it by rules of alerts.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::PATIENCE;

/// Prometheus tells nobody when it has read or judged, so it is asked this often.
const TICK: Duration = Duration::from_millis(100);
const SETTINGS: &str = "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}";

/// Ended when dropped.
pub(crate) struct Prometheus {
    child: Child,
    /// Reads what it says, so that it never waits for a reader.
    reader: Option<JoinHandle<()>>,
    url: String,
}

/// An alert that is pending or fires.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    /// The rule's name and, where it is about one of several, the provider or actor: `ParlanteWhatsAppPaused whatsapp`.
    pub(crate) name: String,
    pub(crate) fires: bool,
    /// The page that its rule names.
    pub(crate) runbook: String,
}

impl Prometheus {
    /// Starts it in `folder`, with `rules` of alerts if there are any, reading the server at `target`.
    pub(crate) async fn start(folder: &Path, target: &str, token: &str, rules: Option<&str>) -> Self {
        let config = format!(
            "{SETTINGS}\nrule_files: [{}]\nscrape_configs:\n- job_name: parlante\n  authorization: \
             {{credentials: {token}}}\n  static_configs: [{{targets: [\"{target}\"]}}]\n",
            if rules.is_some() { "alerts.yml" } else { "" },
        );
        std::fs::write(folder.join("prometheus.yml"), config).expect("a file");
        std::fs::write(folder.join("alerts.yml"), rules.unwrap_or_default()).expect("a file");
        let mut child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus is installed (Debian's package `prometheus`)");
        let (tell, told) = oneshot::channel();
        let said = child.stderr.take().expect("a pipe");
        let reader = std::thread::spawn(move || read(said, tell));
        // From here on it is ended whatever happens.
        let mut prometheus = Self { child, reader: Some(reader), url: String::new() };
        let address = tokio::time::timeout(PATIENCE, told).await.expect("it listens in time");
        prometheus.url = format!("http://{}", address.expect("it listens"));
        prometheus
    }

    /// The first series that answers `query`, once there is one that fits.
    pub(crate) async fn until(&self, query: &str, fits: impl Fn(&str) -> bool) -> String {
        let ask = async || {
            let answer = self.ask("query", &[("query", query)]).await?;
            let value = answer["result"][0]["value"][1].as_str()?.to_owned();
            Some(value).filter(|value| fits(value))
        };
        asked_until(ask).await.unwrap_or_else(|| panic!("nothing fits for {query}"))
    }

    /// The alerts that are pending or fire, once they fit.
    pub(crate) async fn until_alerts(&self, fits: impl Fn(&[Alert]) -> bool) -> Vec<Alert> {
        let mut last = Vec::new();
        let ask = async || {
            last = self.alerts().await?;
            fits(&last).then(|| last.clone())
        };
        let fitting = asked_until(ask).await;
        fitting.unwrap_or_else(|| panic!("the alerts never came to that: {last:#?}"))
    }

    /// Waits until the rules have been judged so often.
    pub(crate) async fn judges(&self, times: usize) {
        for _ in 0..times {
            let before = self.judged().await;
            let later = asked_until(async || self.judged().await.filter(|at| Some(at) != before.as_ref()));
            later.await.expect("the rules are judged twice a second");
        }
    }

    /// By Prometheus' clock, seconds since the Unix epoch.
    pub(crate) async fn now(&self) -> f64 {
        let time = asked_until(async || {
            let answer = self.ask("query", &[("query", "time()")]).await?;
            answer["result"][1].as_str()?.parse().ok()
        });
        time.await.expect("it knows the time")
    }

    /// The names of the alerts that were in this state (`pending`, `firing`) at any time between the two.
    pub(crate) async fn were(&self, state: &str, (from, to): (f64, f64)) -> BTreeSet<String> {
        let query = format!("ALERTS{{alertstate=\"{state}\"}}");
        let (from, to) = (from.to_string(), to.to_string());
        let range = [("query", query.as_str()), ("start", &from), ("end", &to), ("step", "0.25")];
        let answer = self.ask("query_range", &range).await.expect("an answer");
        let series = answer["result"].as_array().expect("a list").iter();
        series.map(|series| named(&series["metric"])).collect()
    }

    async fn alerts(&self) -> Option<Vec<Alert>> {
        let answer = self.ask("alerts", &[]).await?;
        let alert = |alert: &Value| Alert {
            name: named(&alert["labels"]),
            fires: alert["state"] == "firing",
            runbook: alert["annotations"]["runbook"].as_str().unwrap_or_default().to_owned(),
        };
        Some(answer["alerts"].as_array()?.iter().map(alert).collect())
    }

    /// When the rules were last judged. All of them can be.
    async fn judged(&self) -> Option<String> {
        let answer = self.ask("rules", &[]).await?;
        let group = answer["groups"].get(0)?;
        for rule in group["rules"].as_array()? {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        group["lastEvaluation"].as_str().map(str::to_owned)
    }

    /// What it answers on a path of its API. `None`: nothing that could be read, as while it starts.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let request = awc::Client::new().get(format!("{}/api/v1/{path}", self.url)).query(&query).ok()?;
        let mut answer = request.send().await.ok()?;
        let body: Value = serde_json::from_slice(&answer.body().await.ok()?).ok()?;
        (body["status"] == "success").then(|| body["data"].clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

/// Tells the address once it is said.
fn read(said: ChildStderr, tell: oneshot::Sender<String>) {
    let mut tell = Some(tell);
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        let listening = line.contains("msg=\"Listening on\"").then(|| line.split_once(" address=")).flatten();
        if let Some((tell, (_, address))) = listening.and_then(|found| tell.take().zip(Some(found))) {
            let _ = tell.send(address.trim().to_owned());
        }
    }
}

async fn asked_until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asked = async {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            if let Some(value) = ask().await {
                return value;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()
}

fn named(labels: &Value) -> String {
    let of = ["service", "actor"].iter().find_map(|label| labels[label].as_str());
    let name = labels["alertname"].as_str().expect("a name");
    of.map_or_else(|| name.to_owned(), |of| format!("{name} {of}"))
}
