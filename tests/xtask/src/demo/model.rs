//! The model that the demo's agent asks: the server of `examples/model-server` with the script of `examples/demo`. Nothing else
//! in the demo knows what it will say.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::say;

/// Ended with this value.
pub(super) struct Model(Child);

impl Model {
    /// Listens when this returns.
    pub(super) fn start(root: &Path) -> Result<Self> {
        let words = ["python3", "-S", "-E", "examples/model-server/server.py", "examples/demo/model.json"];
        say(words.join(" "));
        let [program, arguments @ ..] = words;
        let server = Command::new(program).args(arguments).current_dir(root).stdout(Stdio::piped()).spawn();
        let mut model = Self(server.context("cannot start python3")?);
        let mut line = String::new();
        let said = model.0.stdout.take().context("the model server has no output")?;
        BufReader::new(said).read_line(&mut line)?;
        ensure!(line.starts_with("listening on "), "the model server did not start");
        say(line.trim());
        Ok(model)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
