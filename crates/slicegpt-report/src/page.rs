//! Renders the page from its sections, through a template that escapes all text.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use crate::{Report, ReportError, compared, one};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

impl Report {
    /// The page as HTML.
    ///
    /// # Errors
    ///
    /// If a chart cannot be drawn, which is a bug.
    pub fn to_html(&self) -> Result<String, ReportError> {
        html(self)
    }
}

fn html(report: &Report) -> Result<String, ReportError> {
    let mut sections = compared::sections(report)?;
    for run in &report.runs {
        sections.push(one::section(run)?);
    }
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax?);
    environment.add_template("page", TEMPLATE)?;
    let page = environment.get_template("page")?.render(context! {
        title => title(report),
        style => STYLE,
        sections => Serde(sections),
        tool => report.tool.as_str(),
    })?;
    Ok(page)
}

fn title(report: &Report) -> String {
    if let Some(title) = &report.title {
        return title.clone();
    }
    let runs = &report.runs;
    let mut names: Vec<&str> = Vec::new();
    for run in runs {
        let recorded = run.record.as_ref().map(|record| record.dense.name.as_str());
        let base = report.base.as_ref().map(|base| base.model.name.as_str());
        if let Some(name) = base.or(recorded).filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    let what = match names.as_slice() {
        [] => runs[0].model.name.clone(),
        names => names.join(", "),
    };
    match runs.len() {
        1 => format!("{what}, sliced"),
        count => format!("{what}, sliced {count} times"),
    }
}
