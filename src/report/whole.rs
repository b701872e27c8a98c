//! The whole report of a checkpoint: what its headers say, what it would weigh otherwise, the memory it takes, then its values.

use serde::Serialize;

use super::project::ProjectBody;
use super::scan::ScanBody;
use super::show::{ShowBody, ShowOptions};
use crate::checkpoint::{Checkpoint, HfFolder, StandIn};
use crate::project::copies::copies;
use crate::project::{
    MemoryReport, MemoryRequest, ProjectInput, Request, folder_for_targets, memory, memory_of_checkpoint, project,
};

/// The fields of the document of `weigh PATH`.
#[derive(Debug, Serialize)]
pub struct WholeBody<'a> {
    /// What the headers say.
    pub show: ShowBody<'a>,
    /// What the values tell; `None` where they were not read.
    pub scan: Option<ScanBody<'static>>,
    /// What it would weigh quantized, pruned and sharded.
    pub project: ProjectBody,
    /// What it takes to run.
    pub memory: MemoryReport,
}

/// The whole report in the making: first what headers tell, then what a scan adds.
pub struct WholeReport<'a> {
    checkpoint: &'a Checkpoint,
    request: Request,
    folder: Option<HfFolder>,
    /// What config.json declares, where the weights are in files that are not read.
    pub stand_in: Option<StandIn>,
    /// The answers so far.
    pub body: WholeBody<'a>,
}

impl<'a> WholeReport<'a> {
    /// What the headers tell. `asked` holds budgets and limits; its engines are those that read the format where it names none.
    pub fn of_headers(checkpoint: &'a Checkpoint, asked: &MemoryRequest) -> Self {
        let request = Request::common(checkpoint);
        let folder = folder_for_targets(checkpoint, &request.targets, None);
        let input = ProjectInput::from_checkpoint(checkpoint).with_folder(folder.as_ref());
        let projection = project(&input, &request);
        let asked = asked.clone().with_default_engines(checkpoint.format());
        let stand_in = checkpoint.stand_in();
        let memory = if stand_in.is_some() { memory_of_checkpoint(checkpoint, &asked) } else { memory(&input, &asked) };
        // The scan of many tensors needs the room.
        drop(input);
        let show = ShowBody::of(checkpoint, &ShowOptions::default());
        let body = WholeBody { show, scan: None, project: ProjectBody { projection, copies: copies(checkpoint) }, memory };
        Self { checkpoint, request, folder, stand_in, body }
    }

    /// Adds what the values tell: the scan itself, pruned forms at the measured zeros, and parameters that equal bytes prove to be one.
    pub fn add_scan(&mut self, scan: ScanBody<'static>, zeros: Vec<Option<u64>>) {
        let input = ProjectInput::from_checkpoint(self.checkpoint).with_folder(self.folder.as_ref());
        let request = Request { targets: Vec::new(), shards: Vec::new(), zeros: Some(zeros), ..self.request.clone() };
        self.body.project.projection.pruned = project(&input, &request).pruned;
        // Equal bytes prove what the headers could not.
        if let Some(tied) = scan.tied.as_ref().filter(|tied| tied.verdict == "equal") {
            self.body.show.totals.unique_params -= tied.params;
        }
        self.body.scan = Some(scan);
    }

    /// Whether pruned forms are shown after the scan: of safetensors weights, whose zeros a file can leave out.
    pub fn shows_pruned(&self) -> bool {
        self.body.show.totals.tensors > 0 && self.checkpoint.format() != Some(crate::format::Format::Gguf)
    }
}
