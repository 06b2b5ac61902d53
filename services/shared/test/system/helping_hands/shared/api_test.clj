(ns helping-hands.shared.api-test
  (:require [clojure.test :refer [are deftest]]
            [helping-hands.shared.api :as api]))

(def ^:private declared
  [{"name" "id", "in" "path", "required" true, "schema" {"type" "string", "pattern" "^[0-9]$"}}
   {"name" "Key", "in" "header", "schema" {"type" "string", "maxLength" 3}}
   {"name" "cost", "in" "query", "schema" {"type" "number", "minimum" 0}}
   {"name" "of", "in" "query", "required" true, "style" "form", "explode" true
    "schema" {"type" "object", "minProperties" 1, "properties" {"a" {"type" "integer"}, "b" {"type" "string"}}}}])

(deftest parameters-are-what-the-document-says
  (are [path headers query values faults] (= [values faults] (@#'api/parameters declared {:path-params  path
                                                                                          :headers      headers
                                                                                          :query-params query}))
    {"id" "7"} {"key" "abc"}  {"a" "1", "cost" "2.5"} {"id" "7", "Key" "abc", "a" 1, "cost" 2.5} []
    {"id" "7"} {}             {"b" "x", "c" "y"}      {"id" "7", "b" "x"}      []
    {"id" "x"} {}             {"a" "x"}               {"id" "x", "a" "x"}      ["id must match ^[0-9]$" "a must be an integer"]
    {"id" "7"} {"key" "long"} {"b" "x"}               {"id" "7", "Key" "long", "b" "x"} ["Key must have at most 3 characters"]
    {"id" "7"} {}             {"cost" ["1" "2"]}      {"id" "7", "cost" ["1" "2"]} ["cost must be given once" "give one of a, b"]
    {"id" "7"} {}             {"a" ["1" "2"]}         {"id" "7", "a" ["1" "2"]}    ["a must be given once"]
    {"id" "7"} {}             {}                      {"id" "7"}               ["give one of a, b"]
    {}         {}             {"a" "1"}               {"a" 1}                  ["id must be given"]))
