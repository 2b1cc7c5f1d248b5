import ArgumentParser

struct ModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Lists the models on this device and proves that they compute what their makers saw.",
    discussion: """
        thermograph model list
        thermograph model verify
        thermograph model verify screening-fold --kernels reference --json
      """,
    subcommands: [ModelListCommand.self, ModelVerifyCommand.self, ModelPackCommand.self, ModelTrialCommand.self])
}
