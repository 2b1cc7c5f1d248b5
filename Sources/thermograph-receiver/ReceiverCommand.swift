import ArgumentParser

@main
struct ReceiverCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "thermograph-receiver",
    abstract: "The far side's worker: captures from MQTT brokers into PostgreSQL, answered with receipts.",
    discussion: """
      Any number of workers run beside each other on the same brokers and the same database; each may be killed at any \
      time. A clinic with one machine needs none of this: thermograph receive writes into a folder.

        thermograph-receiver --migrate --database 'postgresql://thermograph@db/thermograph?sslmode=verify-full'
        thermograph-receiver --database 'service=thermograph' --master-key-file /etc/thermograph-receiver/master.key \
      --broker b1.example:8883 --broker b2.example:8883 --ca ca.pem --certificate r.pem --key r.key
        thermograph-receiver fleet --database 'service=thermograph'

      Research use only. Nothing here diagnoses.
      """,
    version: "thermograph-receiver 0.1.0",
    subcommands: [RunCommand.self, FleetCommand.self, ContentCommand.self], defaultSubcommand: RunCommand.self)
}
