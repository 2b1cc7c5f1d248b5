import Configuration
import Testing

/// The texts are an interface: technicians search for them, so they are compared word by word.
@Suite struct FaultTests {
  struct Example: CustomTestStringConvertible, Sendable {
    var text: String
    var faults: [String]
    var testDescription: String { text.split(separator: "\n").last.map(String.init) ?? text }

    /// Appended to a valid file, whose last line is 4.
    init(_ text: String, _ faults: String...) {
      self.text = identity + text
      self.faults = faults
    }
  }

  @Test(arguments: [
    Example(
      "[camera]\nrefresh_rate_hz = 5",
      "thermograph.toml:6:19: camera.refresh_rate_hz is 5; expected 1, 2, 4, 8, 16 or 32"),
    Example(
      "[camera]\nemissivity = \"0.98\"",
      "thermograph.toml:6:14: camera.emissivity is \"0.98\"; expected a number from 0.5 to 1.0"),
    Example(
      "[camera]\nemissivity = nan", "thermograph.toml:6:14: camera.emissivity is nan; expected a number from 0.5 to 1.0"
    ),
    Example(
      "[camera]\naddress = 9223372036854775807",
      "thermograph.toml:6:11: camera.address is 9223372036854775807; expected a whole number from 8 to 119"),
    Example(
      "[camera]\nframes_averaged = 2.0",
      "thermograph.toml:6:19: camera.frames_averaged is 2.0; expected a whole number from 1 to 128"),
    Example(
      "[camera]\nbus = \"i2c-1\"",
      "thermograph.toml:6:7: camera.bus is \"i2c-1\"; expected an absolute path of at most 1024 bytes"),
    Example(
      "[camera]\nbus = 1979-05-27",
      "thermograph.toml:6:7: camera.bus is a date or time; expected an absolute path of at most 1024 bytes"),
    Example(
      "[camera]\nbus = [\"/dev/i2c-1\"]",
      "thermograph.toml:6:7: camera.bus is a list; expected an absolute path of at most 1024 bytes"),
    Example(
      "[broker]\nallow_plaintext = \"yes\"",
      "thermograph.toml:6:19: broker.allow_plaintext is \"yes\"; expected true or false"),
    Example(
      "[log]\nlevel = \"warn\"",
      "thermograph.toml:6:9: log.level is \"warn\"; expected \"trace\", \"debug\", \"info\", \"notice\", \"warning\", \"error\" or \"critical\"; did you mean \"warning\"?"
    ),
    Example(
      "[reader]\nkind = \"rdm630\"",
      "thermograph.toml:6:8: reader.kind is \"rdm630\"; expected \"rdm6300\", \"id12la\", \"pn532-hsu\" or \"line\"; did you mean \"rdm6300\"?"
    ),
    Example(
      "[session]\nviews = []",
      "thermograph.toml:6:9: session.views is a list; expected a list of \"frontal\", \"left-oblique\", \"right-oblique\", \"left-lateral\" or \"right-lateral\", each at most once"
    ),
    Example(
      "[session]\nviews = [\"frontal\", \"frontal\"]",
      "thermograph.toml:6:21: session.views names \"frontal\" twice; expected a list of \"frontal\", \"left-oblique\", \"right-oblique\", \"left-lateral\" or \"right-lateral\", each at most once"
    ),
    Example(
      "[lines]\nbutton = 512",
      "thermograph.toml:6:10: lines.button is 512; expected a line's name such as \"GPIO17\", or its offset on the chip from 0 to 511"
    ),
    Example(
      "[broker]\nhost = \"mqtts://b:8883\"",
      "thermograph.toml:6:8: broker.host is \"mqtts://b:8883\"; expected a host name or address without mqtt:// and without a port"
    ),
  ]) func wrongValue(_ example: Example) throws {
    #expect(try Scratch().faults(of: example.text) == example.faults)
  }

  @Test(arguments: [
    Example(
      "[camera]\nrefresh_rate = 8",
      "thermograph.toml:6:1: unknown key camera.refresh_rate; expected a key of [camera]; did you mean \"refresh_rate_hz\"?"
    ),
    Example(
      "[session]\nlevel = \"info\"",
      "thermograph.toml:6:1: unknown key session.level; expected it in [log]; did you mean \"log.level\"?"),
    Example(
      "[helth]\ninterval_seconds = 10",
      "thermograph.toml:5:2: unknown table [helth]; expected a table of this program; did you mean \"health\"?"
    ),
    Example(
      "[screening.model]\nid = 1",
      "thermograph.toml:5:1: screening.model is a table; expected 1 to 64 of A-Z, a-z, 0-9, ., _ and -, not starting with a dot"
    ),
    Example(
      "[log]\n\"le\\nvel\" = 1",
      "thermograph.toml:6:1: unknown key log.\"le\\nvel\"; expected a key of [log]; did you mean \"level\"?"),
  ]) func unknownName(_ example: Example) throws {
    #expect(try Scratch().faults(of: example.text) == example.faults)
  }

  @Test func keyOutsideItsTable() throws {
    #expect(
      try Scratch().faults(of: "schema = 1\nemissivity = 0.9\nlog = 3\n[device]\nid = \"d\"\nsite = \"s\"\n") == [
        "thermograph.toml:2:1: key emissivity stands outside every table; expected it in [camera]; did you mean \"camera.emissivity\"?",
        "thermograph.toml:3:7: \"log\" is 3; expected a table: [log]",
      ])
  }

  @Test func missingKeysAndVersion() throws {
    #expect(
      try Scratch().faults(of: "[device]\nid = \"d\"\n") == [
        "thermograph.toml:1:1: schema is missing; expected schema = 1 above the first table",
        "thermograph.toml:1:2: device.site is missing; expected site = ... in [device]: 1 to 36 of a-z, 0-9 and -",
      ])
    #expect(
      try Scratch().faults(of: "schema = 1") == [
        "thermograph.toml: device.id is missing; expected id = ... in [device]: 1 to 36 of a-z, 0-9 and -",
        "thermograph.toml: device.site is missing; expected site = ... in [device]: 1 to 36 of a-z, 0-9 and -",
      ])
    #expect(
      try Scratch().faults(of: identity.replacing("schema = 1", with: "schema = 2")) == [
        "thermograph.toml:1:10: schema is 2; expected 1, the version of the file format that this program reads"
      ])
  }

  /// A key with a wrong value is not reported as missing too, nor the conditions that read it.
  @Test func oneFaultForOneMistake() throws {
    #expect(
      try Scratch().faults(of: "schema = 1\n[device]\nid = \"D\"\nsite = \"s\"\n") == [
        "thermograph.toml:3:6: device.id is \"D\"; expected 1 to 36 of a-z, 0-9 and -"
      ])
    #expect(
      try Scratch().faults(of: identity + "[broker]\nhost = \"cloud.example\"\nca_file = \"ca.pem\"\n") == [
        "thermograph.toml:7:11: broker.ca_file is \"ca.pem\"; expected an absolute path of at most 1024 bytes"
      ])
  }

  @Test(arguments: [
    Example(
      "[camera]\nrefresh_rate_hz = 32",
      "thermograph.toml:6:1: camera.refresh_rate_hz 32 is more than a bus of 400 kHz carries; expected a lower rate, or bus_speed_khz of 533 or more, set on the board too"
    ),
    Example(
      "[gates]\nambient_minimum_celsius = 26",
      "thermograph.toml:6:1: gates.ambient_minimum_celsius 26.0 is not below ambient_maximum_celsius 25.0; expected a range"
    ),
    Example(
      "[gates]\nsubject_maximum_share = 0.2",
      "thermograph.toml:6:1: gates.subject_minimum_share 0.35 is not below subject_maximum_share 0.2; expected a range"),
    Example(
      "[broker]\nretry_minimum_seconds = 200",
      "thermograph.toml:6:1: broker.retry_minimum_seconds 200 is above retry_maximum_seconds 120; expected a range"),
    Example(
      "[broker]\nhost = \"cloud.example\"",
      "thermograph.toml:6:1: broker.host \"cloud.example\" is another machine and the connection would not be encrypted; expected ca_file, certificate_file and key_file in [broker], or allow_plaintext = true"
    ),
    Example(
      "[broker]\nhost = \"127.0.0.1.example\"",
      "thermograph.toml:6:1: broker.host \"127.0.0.1.example\" is another machine and the connection would not be encrypted; expected ca_file, certificate_file and key_file in [broker], or allow_plaintext = true"
    ),
    Example(
      "[broker]\nhost = \"cloud.example\"\nca_file = \"/ca.pem\"",
      "thermograph.toml:7:1: broker.ca_file asks for TLS and the device has no certificate of its own; expected certificate_file and key_file in [broker]"
    ),
    Example(
      "[broker]\nkey_file = \"/nowhere/k\"",
      "thermograph.toml:6:1: broker.certificate_file and broker.key_file go together and one is missing; expected both or neither"
    ),
    Example(
      "[broker]\ncertificate_file = \"/c\"\nkey_file = \"/nowhere/k\"",
      "thermograph.toml:6:1: broker.certificate_file is not used without TLS; expected ca_file in [broker]"),
  ]) func conditionsOnSeveralKeys(_ example: Example) throws {
    #expect(try Scratch().faults(of: example.text) == example.faults)
  }

  @Test(arguments: ["localhost", "127.0.0.1", "127.200.3.4", "::1"]) func loopbackNeedsNoTLS(host: String) throws {
    #expect(try Scratch().faults(of: identity + "[broker]\nhost = \"\(host)\"") == [])
  }

  @Test(arguments: [
    "127.0.0.1.example", "127.0.0", "127.0.0.256", "128.0.0.1", "127.0.0.+1", "localhost.example", "::2", "",
  ]) func otherMachines(host: String) {
    #expect(!isLoopback(host))
  }

  /// Whoever writes the secret itself into the file must not find it in the journal.
  @Test func aSecretIsNotRepeated() throws {
    let secret = "3f9a77c0d1"
    let faults = try Scratch().faults(
      of: identity
        + "[outbox]\nkey_file = \"\(secret)\"\nkey = \"\(secret)\"\n[patients]\nsite_key_file = [\"\(secret)\"]\n")
    #expect(faults.count == 3)
    #expect(!faults.joined().contains(secret))
  }

  @Test func noticesDoNotMakeAFileUnusable() throws {
    let scratch = try Scratch()
    try scratch.write(identity + "[broker]\nhost = \"cloud.example\"\nallow_plaintext = true\n")
    let reading = scratch.read()
    #expect(reading.isUsable)
    #expect(
      scratch.lines(reading.notices) == [
        "thermograph.toml:7:1: broker.allow_plaintext: records and images cross the network readable",
        "thermograph.toml: receipts are taken without a receiver's signature: whoever may write to dn/receipt frees what was published",
        "thermograph.toml: screening.model is not set: captures carry no verdict",
      ])
  }
}
