import Foundation
import Provenance
import Testing

@testable import Configuration

/// The JSON Schema against the parser, judged by an implementation of JSON Schema that is not ours.
@Suite struct SchemaTests {
  private static let judge = """
    import json, sys, tomllib, jsonschema
    schema, cases = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    print(json.dumps([validator.is_valid(tomllib.loads(case)) for case in cases]))
    """

  @Test func schemaAndParserAgree() throws {
    let scratch = try Scratch()
    var cases: [(text: String, usable: Bool)] = []
    for key in SettingKey.all {
      let values = SettingKeyTests.values(of: key.shape)
      for value in values.right + values.wrong {
        let text = SettingKeyTests.file(key, value).text
        try scratch.write(text)
        // Conditions on several keys are beyond a schema; their faults stand at the key, in column 1.
        let refused = scratch.read().faults.contains {
          ($0.what.hasPrefix(key.path + " is ") || $0.what.hasPrefix(key.path + " has a table "))
            && $0.place.column != 1
        }
        cases.append((text, !refused))
      }
    }
    for text in [
      identity + "[camera]\nrefresh_rate = 8", identity + "[camra]\nbus = \"/dev/i2c-1\"",
      "schema = 2\n[device]\nid = \"d\"\nsite = \"s\"",
      "schema = 1", "schema = 1\n[device]\nid = \"d\"", identity,
    ] {
      cases.append((text, text == identity))
    }
    #expect(cases.count > 300 && cases.contains { !$0.usable })

    let schema = try scratch.write(CanonicalJSON.indentedText(of: SettingsSchema.json), to: "schema.json")
    let list = try scratch.write(CanonicalJSON.text(of: cases.map(\.text)), to: "cases.json")
    let python = Process()
    let output = Pipe()
    python.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    python.arguments = ["-c", Self.judge, schema, list]
    python.standardOutput = output
    try python.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    python.waitUntilExit()
    try #require(python.terminationStatus == 0)
    let verdicts = try JSONDecoder().decode([Bool].self, from: data)
    try #require(verdicts.count == cases.count)
    for (verdict, example) in zip(verdicts, cases) {
      #expect(verdict == example.usable, "schema says \(verdict) of:\n\(example.text)")
    }
  }
}

/// The reference of keys is made from the program, so that it cannot fall behind.
@Suite struct ReferenceTests {
  @Test func referenceIsUpToDate() throws {
    let python = Process()
    let input = Pipe()
    let output = Pipe()
    python.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    python.arguments = [Scratch.repository + "/Scripts/configuration-reference"]
    python.standardInput = input
    python.standardOutput = output
    try python.run()
    try input.fileHandleForWriting.write(contentsOf: Data(CanonicalJSON.bytes(of: SettingsSchema.json)))
    try input.fileHandleForWriting.close()
    let made = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    python.waitUntilExit()
    let kept = try String(contentsOfFile: Scratch.repository + "/Docs/configuration-keys.md", encoding: .utf8)
    #expect(
      made == kept, "run: thermograph check --schema | Scripts/configuration-reference > Docs/configuration-keys.md")
    #expect(made.contains("| `refresh_rate_hz` |"))
  }
}
