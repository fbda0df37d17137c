//! Everything a person types while working on netmon: `cargo xtask <verb>`.

mod attack;
mod build;
mod check;
mod compiler;
mod demo;
mod exec;
mod fuzz;
mod linker;
mod package;
mod run;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Sets up, builds, runs, tests and checks netmon.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Verb {
    Setup(setup::Args),
    Build(build::Args),
    Run(run::RunArgs),
    Attach(run::AttachArgs),
    Demo(demo::Args),
    Attack(attack::Args),
    Test(test::Args),
    Fuzz(fuzz::Args),
    Check(check::Args),
}

fn main() -> ExitCode {
    let result = match Verb::parse() {
        Verb::Setup(args) => setup::main(&args),
        Verb::Build(args) => build::main(&args),
        Verb::Run(args) => run::run(&args),
        Verb::Attach(args) => run::attach(&args),
        Verb::Demo(args) => demo::main(&args),
        Verb::Attack(args) => attack::main(&args),
        Verb::Test(args) => test::main(&args),
        Verb::Fuzz(args) => fuzz::main(&args),
        Verb::Check(args) => check::main(&args),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("xtask: {error:#}");
    ExitCode::FAILURE
}
