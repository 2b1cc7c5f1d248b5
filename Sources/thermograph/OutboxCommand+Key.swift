import ArgumentParser
import Audit
import Forwarding
import LinuxIO
import Provenance
import Storage

extension OutboxCommand {
  struct Key: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Makes, changes and erases the key that seals the outbox.",
      discussion: """
        To change the key of a device that is in use:

          thermograph outbox key make /var/lib/thermograph/keys/outbox-2.key
          (in [outbox]: key_file = ".../outbox-2.key" and older_key_file = ".../outbox.key"; restart the device)
          thermograph outbox key reseal
          thermograph outbox key erase /var/lib/thermograph/keys/outbox.key
          (remove older_key_file from [outbox])

        The device seals anew by itself, a few messages a minute; `reseal` does not wait for it. What is kept for the \
        comparison over time lies under the same key and is sealed anew with it.
        """,
      subcommands: [Make.self, Reseal.self, Erase.self])
  }
}

extension OutboxCommand.Key {
  struct Make: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Makes a new key file of mode 0600.",
      discussion: """
        Exit status 0: it is made; 1: the file is there already, or cannot be written.

          thermograph outbox key make /var/lib/thermograph/keys/outbox.key
        """)

    @Argument(help: "The file, which must not exist.")
    var file: String

    func run() throws {
      var generator = SystemRandomNumberGenerator()
      let key = try KeyFile.create(path: file, digests: OpenSSLDigests(), using: &generator)
      printToStandardError("\(file): key \(SealingKey.text(ofID: key.id))")
    }
  }

  struct Reseal: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Seals everything under key_file that still lies under older_key_file.",
      discussion: """
        Exit status 0: nothing is left; 1: messages or patients' earlier sessions are left whose key is not loaded or whose \
        bytes are damaged.

          thermograph outbox key reseal
        """)

    @OptionGroup var options: OutboxOptions

    func run() async throws {
      let baselinesLeft = try await options.withBaselines { try await $0.reseal() }
      let outbox = try options.open()
      var left = try outbox.reseal(limit: 64)
      while left > 0 {
        let before = left
        left = try outbox.reseal(limit: 64)
        if left == before { break }
      }
      if options.json {
        try printJSON(["left": left, "patients_left": baselinesLeft])
      } else {
        printToStandardError(
          left + baselinesLeft == 0
            ? "everything lies under the present key"
            : "\(left) messages and the earlier sessions of \(baselinesLeft) patients are left")
      }
      if left + baselinesLeft > 0 { throw ExitCode.failure }
    }
  }

  struct Erase: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Destroys a key file, and with it everything that only this key opens.",
      discussion: """
        Refused while messages or patients' earlier sessions lie under the key, unless --with-messages: that is how a device \
        forgets everything before it is given away. Flash memory may keep a copy of the erased blocks. Exit status 0: erased; 1: refused.

          thermograph outbox key erase /var/lib/thermograph/keys/old.key
          thermograph outbox key erase /var/lib/thermograph/keys/outbox.key --with-messages
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "The key file.")
    var file: String

    @Flag(name: .long, help: "Even when messages lie under this key; nobody will read them again.")
    var withMessages = false

    func run() async throws {
      let key = try KeyFile.load(path: file, digests: OpenSSLDigests())
      let count = try options.open().count(keyID: key.id)
      let patients = try await options.withBaselines { try await $0.count(keyID: key.id) }
      let whose = patients == 1 ? "one patient" : "\(patients) patients"
      let those = patients == 0 ? "\(count) messages" : "\(count) messages and the earlier sessions of \(whose)"
      guard count + patients == 0 || withMessages else {
        throw OutboxCommandError(
          "\(file): \(those) lie under this key; run `thermograph outbox key reseal` first, "
            + "or give --with-messages to make them unreadable for ever")
      }
      leaveNote(.keys(.outboxKey("erased \(SealingKey.text(ofID: key.id))")), try options.settings())
      try KeyFile.erase(path: file)
      printToStandardError("\(file): erased; \(those) can no longer be opened")
    }
  }
}
