//! The simulated AI endpoint as a child process, and what it counted.
//!
//! Inputs: the path of `ai-sim`, a seed, a script. Outputs: the variables that make it execution's endpoint, its counters.
//! The child ends with the handle.

use super::venue::{VenueError, ask, spawn};
use serde::Deserialize;
use std::path::Path;
use tokio::process::Child;

/// What it prints as its first line.
#[derive(Debug, Deserialize)]
struct Address {
    url: String,
    admin: String,
    api_key: String,
    model: String,
}

/// A running endpoint.
#[derive(Debug)]
pub(super) struct AiEndpoint {
    child: Child,
    address: Address,
}

impl AiEndpoint {
    /// Starts it; its log goes to `log`.
    ///
    /// # Errors
    /// [`VenueError`] when it cannot be started or does not say where it is.
    pub(super) async fn start(
        program: &Path,
        seed: u64,
        script: Option<&Path>,
        log: &Path,
    ) -> Result<Self, VenueError> {
        let mut arguments = vec!["--seed".to_owned(), seed.to_string()];
        if let Some(script) = script {
            arguments.extend(["--script".to_owned(), script.display().to_string()]);
        }
        let (child, line) = spawn(program, &arguments, log).await?;
        let address = serde_json::from_str(&line)
            .map_err(|error| VenueError::FirstLine(format!("{error}: {}", line.trim())))?;
        Ok(Self { child, address })
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.address.url
    }

    /// Variables that make it the endpoint of execution.
    pub(super) fn environment(&self, ai_dec: u8) -> Vec<(String, String)> {
        let Address { url, api_key, model, .. } = &self.address;
        [
            ("AI_DEC", ai_dec.to_string()),
            ("AI_GATE_BASE_URL", url.clone()),
            ("AI_GATE_MODEL", model.clone()),
            ("AI_GATE_API_KEY", api_key.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// What it counted, as JSON.
    ///
    /// # Errors
    /// [`VenueError::Admin`].
    pub(super) async fn counts(&self) -> Result<serde_json::Value, VenueError> {
        ask(&self.address.admin, "/counts").await
    }

    /// Ends it.
    pub(super) async fn stop(mut self) {
        // It holds nothing that outlives it; an error means that it has ended already.
        let _ = self.child.kill().await;
    }
}
