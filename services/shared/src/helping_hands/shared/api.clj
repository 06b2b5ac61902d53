(ns helping-hands.shared.api
  "An OpenAPI document at work: it is what a service serves under /openapi.json, where requests find their operation, and
  what they are checked against, so that the two cannot differ. The extension `x-permissions` lists what auth is asked for."
  (:require [clojure.data.json :as json]
            [clojure.string :as str]
            [helping-hands.shared.authorisation :as authorisation]
            [helping-hands.shared.http :refer [document refuse]]
            [helping-hands.shared.schema :as schema])
  (:import (java.io ByteArrayInputStream EOFException InputStreamReader PushbackReader)
           (java.nio.charset CharacterCodingException StandardCharsets)))

(defn- read-json
  "The one JSON value in a body of UTF-8, or ::none."
  [^ByteArrayInputStream body]
  (try
    (let [text   (PushbackReader. (InputStreamReader. body (.newDecoder StandardCharsets/UTF_8)) 64)
          value  (json/read text)]
      (if (= ::end (json/read text :eof-error? false :eof-value ::end)) value ::none))
    (catch EOFException _ ::none)
    (catch CharacterCodingException _ ::none)
    (catch StackOverflowError _ ::none)                     ; a thousand brackets
    (catch Exception _ ::none)))                            ; data.json has no exception of its own

(defn- as-object
  "The schema of what a parameter gives, {name value}: an object, whose style is form, gives its properties one by one."
  [{:strs [name required schema]}]
  (if (= "object" (schema "type"))
    schema
    {"type" "object", "properties" {name schema}, "required" (if required [name] [])}))

(defn- texts
  "What a request says of `names`, {name text}; a text that is there more than once is a vector."
  [{:keys [path-params query-params headers]} in names]
  (case in
    "path"   (select-keys path-params names)
    "query"  (select-keys query-params names)
    "header" (into {} (for [name names :let [text (headers (str/lower-case name))] :when text] [name text]))))

(defn- parameters
  "What a request gives of the operation's parameters, {name value}, and what is wrong with it: [parameters faults]."
  [declared request]
  (reduce (fn [[values faults] {:strs [in] :as parameter}]
            (let [{:strs [properties] :as schema} (as-object parameter)
                  texts (texts request in (keys properties))
                  given (into {} (for [[name text] texts] [name (schema/parameter (properties name) text)]))]
              [(merge values given)
               (into faults (or (seq (for [[name text] texts :when (vector? text)] (str name " must be given once")))
                                (schema/faults schema given "")))]))
          [{} []]
          declared))

(defn- media-type [headers]
  (str/lower-case (str/trim (first (str/split (headers "content-type" "") #";" 2)))))

(defn- endpoint
  "An operation as a Ring handler: who may not is refused, then what is wrong; then `act` gets the system and
  {:params {name value}, :body value, :caller {:token, :request-id}}."
  [{:strs [parameters requestBody x-permissions]} act system]
  (let [body-schema (get-in requestBody ["content" "application/json" "schema"])]
    (fn [{:keys [headers body request-id] :as request}]
      (let [caller {:token (authorisation/token request), :request-id request-id}]
        (or (authorisation/refusal system caller x-permissions)
            (when (and body-schema (not= "application/json" (media-type headers)))
              (refuse 415 "the body must be application/json"))
            (let [[params faults] (helping-hands.shared.api/parameters parameters request)
                  content         (when body-schema (read-json body))
                  faults          (cond
                                    (nil? body-schema)  faults
                                    (= ::none content) (conj faults "the body must be JSON in UTF-8")
                                    :else               (into faults (schema/faults body-schema content "")))]
              (if (seq faults)
                (refuse 400 (str/join "; " faults))
                (act system {:params params, :body content, :caller caller}))))))))

(defn routes
  "The routes of the document whose text this is, as `http/route` takes them. `operations` is {operationId f}; f takes
  `system`, which needs :urls, and what the request says."
  [text operations system]
  (let [described (schema/inlined (json/read-str text))]
    (into {"/openapi.json" {:get (document text)}}
          (for [[path methods] (described "paths")
                :when (not= "/openapi.json" path)]
            [path (into {} (for [[method {:strs [operationId] :as operation}] methods]
                             [(keyword method) (endpoint operation (operations operationId) system)]))]))))
