import TestSupport

extension MosquittoBroker {
  /// - Parameter authority: signs the broker's certificate `server` and asks each client for one.
  func start(authority: Authority) async throws {
    try configure([
      "allow_anonymous false", "cafile \(authority.certificate("ca"))", "certfile \(authority.certificate("server"))",
      "keyfile \(authority.key("server"))", "require_certificate true", "use_identity_as_username true",
    ])
    try await start()
  }
}
