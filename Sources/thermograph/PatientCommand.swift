import ArgumentParser

struct PatientCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "patient",
    abstract: "Shows, moves and erases what is kept of patients for the comparison over time.",
    discussion: """
      Of each patient the device keeps the pictures of the newest sessions, sealed, to compare the next one with. Patients \
      are named by their reference, as records name them. May be used while the device runs.

        thermograph patient list
        thermograph patient forget ward-7-0042
        thermograph patient export /media/stick/patients.tgbl
        thermograph patient import /media/stick/patients.tgbl
      """,
    subcommands: [List.self, Forget.self, Export.self, Import.self])
}
