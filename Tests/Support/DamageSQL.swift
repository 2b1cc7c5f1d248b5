/// SQL of a blob's bytes with one of them changed for certain.
///
/// A sealed byte that is overwritten with a constant has that value already once in 256 runs; what then "was damaged" is whole.
/// - Parameters:
///   - column: A column that holds bytes.
///   - position: From 1, as `substr` counts; SQL, so that `length(sealed)` may stand there.
package func damaged(_ column: String, at position: String) -> String {
  """
  CAST(substr(\(column), 1, \(position) - 1) \
  || CASE substr(\(column), \(position), 1) WHEN x'00' THEN x'01' ELSE x'00' END \
  || substr(\(column), \(position) + 1) AS BLOB)
  """
}
