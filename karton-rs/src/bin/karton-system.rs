//! The broker as a program.

use std::process::ExitCode;

use clap::Parser;
use karton_rs::{
    service::run_main,
    system::{self, SystemArgs},
};

/// Karton's broker: routes tasks to services and collects what is done with
#[derive(Parser)]
#[command(name = "karton-system", version, infer_long_args = true)]
struct Args {
    #[command(flatten)]
    system: SystemArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    run_main(args.system.config(), |config, shutdown| async move { Ok(system::run(config, args.system.setup_bucket, shutdown).await?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_flags_may_be_shortened_as_with_the_reference() {
        let args = Args::try_parse_from(["karton-system", "--setup", "--config", "karton.ini"]).expect("flags");
        assert!(args.system.setup_bucket);
    }
}
