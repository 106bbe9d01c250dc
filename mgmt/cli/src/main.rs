//! The `gantry` program: every operation of the API by its name.

mod arguments;
mod catalogue;
mod client;
mod complete;
mod credentials;
mod describe;
mod job;
mod secret;
mod session;
mod table;
mod value;

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use gantry_common::catalogue::{CataloguedAnswer, CataloguedOperation};
use serde_json::{Value, json};

use arguments::Request;
use catalogue::{Catalogue, is_query};
use client::{Answer, Client};
use credentials::{Credentials, Place};

/// What a shell sees of a call that is wrongly written.
const USAGE: u8 = 2;
/// What a shell sees of a call that was interrupted: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Gantry on the command line: every operation of the API by its name.
///
/// gantry CreateVmInstance name=web imageUuid=… instanceOfferingUuid=… l3NetworkUuids=… --wait
#[derive(Parser)]
#[command(version)]
struct Line {
    #[command(flatten)]
    place: Place,
    /// How replies are shown; table where not said.
    #[arg(long, global = true)]
    output: Option<Output>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Ask for the account's password and begin a session.
    Login {
        /// A file with the password; - for standard input.
        #[arg(long)]
        password_file: Option<String>,
    },
    /// End the session.
    Logout,
    /// Wait for a job's end and show its reply.
    Wait {
        /// The job's id.
        job: String,
    },
    /// List operations.
    Operations {
        /// Only those whose name, chapter or description holds this.
        #[arg(default_value = "")]
        text: String,
        /// Also those that this version does not carry out yet.
        #[arg(long)]
        planned: bool,
    },
    /// Show what an operation does and takes.
    Describe {
        /// The operation.
        operation: String,
    },
    /// Print what a shell needs to complete operations and parameters.
    Completion {
        /// The shell.
        shell: complete::Shell,
    },
    /// Print what the last word can become.
    #[command(hide = true)]
    Complete {
        /// The words of the line so far.
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        words: Vec<String>,
    },
    #[command(external_subcommand)]
    Call(Vec<String>),
}

/// What follows an operation's name.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct CallLine {
    #[command(flatten)]
    place: Place,
    #[arg(long)]
    output: Option<Output>,
    /// Wait for the job's end.
    #[arg(long)]
    wait: bool,
    /// Show what the operation takes.
    #[arg(long, short)]
    help: bool,
    words: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Line::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gantry: {error:#}");
            let usage = error.is::<arguments::ArgumentError>() || error.is::<catalogue::UnknownOperation>();
            if usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(line: Line) -> anyhow::Result<ExitCode> {
    let catalogue = Catalogue::read().context("the list of operations is damaged")?;
    let output = line.output.unwrap_or(Output::Table);
    match line.command {
        Command::Login { password_file } => log_in(&line.place, password_file).await?,
        Command::Logout => client(&line.place)?.log_out().await?,
        Command::Wait { job } => return wait(&client(&line.place)?, &job, output, &[]).await,
        Command::Operations { text, planned } => print(&describe::list(&catalogue, &text, planned))?,
        Command::Describe { operation } => print(&describe::operation(catalogue.find(&operation)?))?,
        Command::Completion { shell } => print(shell.script())?,
        Command::Complete { words } => {
            let line = Line::command();
            let commands = line.get_subcommands().filter(|command| !command.is_hide_set());
            let commands: Vec<&str> = commands.map(clap::Command::get_name).collect();
            print(&complete::candidates(&catalogue, &commands, &words).join("\n"))?;
        }
        Command::Call(words) => {
            let Some((name, rest)) = words.split_first() else { return Ok(ExitCode::from(USAGE)) };
            let operation = catalogue.find(name)?;
            let call = CallLine::parse_from(rest);
            if call.help {
                print(&describe::operation(operation))?;
                return Ok(ExitCode::SUCCESS);
            }
            let place =
                Place { url: call.place.url.or(line.place.url), account: call.place.account.or(line.place.account) };
            let request = arguments::request(operation, &call.words)?;
            let output = call.output.unwrap_or(output);
            return carry_out(&client(&place)?, operation, &request, call.wait, output).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn client(place: &Place) -> anyhow::Result<Client> {
    // Only an earlier call can have installed one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(Credentials::find(place)?)
}

async fn log_in(place: &Place, password_file: Option<String>) -> anyhow::Result<()> {
    let client = client(place)?;
    let password = match password_file {
        Some(file) => value::resolved(&format!("@{file}")),
        None => secret::asked("password: "),
    };
    client.log_in(&password.map_err(anyhow::Error::msg)?).await
}

async fn carry_out(
    client: &Client,
    operation: &CataloguedOperation,
    request: &Request,
    wait_for_it: bool,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let fields: Vec<String> = if is_query(operation) { asked_fields(request) } else { Vec::new() };
    // Chosen here, so that it is known even if the answer is lost.
    let job = (operation.answer == CataloguedAnswer::Job).then(|| uuid::Uuid::new_v4().simple().to_string());
    match (client.call(request, operation.open, job.as_deref()).await?, job) {
        (Answer::Reply(reply), _) => show(&reply, output, &fields)?,
        (Answer::Job, Some(job)) if wait_for_it => return wait(client, &job, output, &fields).await,
        (Answer::Job, job) => match output {
            Output::Json => show(&json!({ "job": job }), output, &[])?,
            Output::Table => print(&format!("job {}", job.unwrap_or_default()))?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait(client: &Client, job: &str, output: Output, fields: &[String]) -> anyhow::Result<ExitCode> {
    tokio::select! {
        reply = job::wait(client, job) => show(&reply?, output, fields)?,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("gantry: the job goes on; `gantry wait {job}` waits for it, `gantry CancelJob uuid={job}` ends it");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn asked_fields(request: &Request) -> Vec<String> {
    let lists = request.query.iter().filter(|(name, _)| name == "fields");
    lists.flat_map(|(_, list)| list.split(',')).filter(|field| !field.is_empty()).map(str::to_owned).collect()
}

fn show(reply: &Value, output: Output, fields: &[String]) -> anyhow::Result<()> {
    match output {
        Output::Json => print(&serde_json::to_string_pretty(reply)?),
        Output::Table => print(&table::table(reply, fields)),
    }
}

/// A reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> anyhow::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n')) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
