//! `weigh audit`: what is wrong with a checkpoint or a repo, before it is loaded.

use std::path::PathBuf;

use serde::Serialize;
use weighbridge::audit::{self, AuditRequest, Policy};
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::observe::Silent;
use weighbridge::report::audit::AuditBody;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sarif::sarif;
use weighbridge::report::sections;
use weighbridge::scan::{Io, ScanOptions};
use weighbridge::units::{parse_bytes, parse_params, parse_tokens};

use crate::args::{AuditArgs, Common};
use crate::interrupt;
use crate::opened::named;
use crate::outcome::Outcome;
use crate::output::{Output, warn};
use crate::progress::Bar;

/// Audits PATH and prints the findings; with `--explain`, what a code means.
pub(crate) fn run(args: &AuditArgs, common: &Common, output: &Output) -> Result<Outcome> {
    if let Some(code) = &args.explain {
        return explain(code, output);
    }
    if args.sarif_root.is_some() && !output.is_sarif() {
        return Err(Error::new(ErrorKind::Usage, "--sarif-root is for --format sarif"));
    }
    let Some(path) = &args.path else { return Err(Error::new(ErrorKind::Usage, "a PATH is needed")) };
    let model = named(path, common)?;
    if let Some(root) = &args.sarif_root {
        // Before the work of hours, not after it.
        let path = model.path();
        audit::path_below(root, if path.is_dir() { path } else { path.parent().unwrap_or(path) })?;
    }
    let request = AuditRequest {
        only_this_file: args.only_this_file,
        // Read, not mapped: hostile files are looked at in bounded memory and cannot fault.
        scan: args.scan.then(|| ScanOptions { io: Io::Read, ..ScanOptions::default() }),
        verify_hashes: args.verify_hashes,
        policy: policy(args)?,
    };
    let audit = if args.scan {
        interrupt::listen();
        // How much there is to read is known once the headers are: the bar counts without an end.
        let bar = Bar::new(0, !common.no_progress);
        let audit = audit::audit_model(&model, &request, &bar);
        bar.finish();
        audit?
    } else {
        audit::audit_model(&model, &request, &Silent)?
    };
    let body = AuditBody::of(&audit);
    let shown = path.to_string_lossy().into_owned();
    if output.is_sarif() {
        let below = args.sarif_root.as_deref().map_or(Ok(PathBuf::new()), |root| audit::path_below(root, &audit.place.folder))?;
        output.write_value(&sarif(&body, &audit.place, &below))?;
    } else {
        let sections = if output.is_csv() { sections::findings(&body) } else { sections::audit(&shown, &body) };
        output.write(&Document { head: Head::new("audit", Some(shown)), body }, &sections)?;
    }
    Ok(if audit.interrupted {
        warn("interrupted: the values were not scanned to the end");
        Outcome::Interrupted
    } else if audit.unreadable || audit.unanswered {
        Outcome::Incomplete
    } else if audit.failed {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn policy(args: &AuditArgs) -> Result<Policy> {
    let mut policy = Policy::default();
    if let Some(file) = &args.policy {
        policy.read(file)?;
    }
    for code in &args.deny {
        policy.deny(code)?;
    }
    for code in &args.allow {
        policy.allow(code)?;
    }
    if let Some(size) = &args.max_size {
        policy.bounds.max_size = Some(parse_bytes(size)?.0);
    }
    if let Some(params) = &args.max_params {
        policy.bounds.max_params = Some(parse_params(params)?.0);
    }
    if let Some(size) = &args.max_ram {
        policy.bounds.max_ram = Some(parse_bytes(size)?.0);
    }
    if let Some(ctx) = &args.ctx {
        policy.bounds.ctx = Some(parse_tokens(ctx)?);
    }
    Ok(policy)
}

/// What a code means, as data.
#[derive(Serialize)]
struct Explanation {
    code: &'static str,
    title: &'static str,
    severity: audit::Severity,
    explanation: &'static str,
}

#[derive(Serialize)]
struct Explanations {
    codes: Vec<Explanation>,
}

fn explain(code: &str, output: &Output) -> Result<Outcome> {
    let rows: Vec<&'static audit::Code> = if code == "all" {
        audit::codes().collect()
    } else {
        let row = audit::find(code).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("unknown code `{}`", weighbridge::text::escape(code)))
                .help("`weigh audit --explain all` lists the codes")
        })?;
        vec![row]
    };
    let words = || rows.iter().flat_map(|row| sections::explanation(row)).collect();
    let sections: Vec<_> = if output.is_csv() { sections::explanations(&rows) } else { words() };
    let codes = rows
        .iter()
        .map(|row| Explanation { code: row.code, title: row.title, severity: row.severity, explanation: row.explanation })
        .collect();
    output.write(&Document { head: Head::new("audit", None), body: Explanations { codes } }, &sections)?;
    Ok(Outcome::Done)
}
