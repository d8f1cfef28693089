//! The service of the README: adds a comment with the size of each recognized sample.

use clap::Parser;
use karton_rs::{Consumer, ConsumerArgs, Task, service::run_main};
use serde_json::json;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    consumer: ConsumerArgs,
}

fn main() -> std::process::ExitCode {
    run_main(Args::parse().consumer.config(), |config, shutdown| async move {
        Consumer::new("karton.sizes")
            .filters(json!([{"type": "sample", "stage": "recognized"}]))
            .process(|karton, task| async move {
                let sample = task.resource("sample")?;
                let mut result = Task::new(json!({"type": "sample", "stage": "analyzed"}));
                result.set_payload("sample", sample.to_value());
                result.set_payload("comments", vec![format!("{} bytes", sample.size.unwrap_or(0))]);
                karton.send_task(result).await?;
                Ok(())
            })
            .run(&config, shutdown)
            .await?;
        Ok(())
    })
}
