;; What `dev` asks of a service's JVM, on a socket of its own: a Clojure map in, a line of JSON out. The folder that this
;; file is loaded from is first on the class path and has the service's sources by their paths there.
(ns slipway.repl
  (:require [clojure.java.io :as io]
            [clojure.main :as main]
            [clojure.string :as str])
  (:import (clojure.lang Compiler)
           (java.io File PushbackReader StringReader StringWriter)))

(def ^:private ^File root
  (-> "slipway/repl.clj" io/resource io/file .getParentFile .getParentFile))

(defn- json [value]
  (letfn [(escaped [c] (case c \" "\\\"", \\ "\\\\", (if (< (int c) 32) (format "\\u%04x" (int c)) c)))]
    (cond
      (map? value)        (str "{" (str/join "," (for [[k v] value] (str (json (name k)) ":" (json v)))) "}")
      (sequential? value) (str "[" (str/join "," (map json value)) "]")
      (nil? value)        "null"
      (or (boolean? value) (number? value)) (pr-str value)
      :else               (str \" (apply str (map escaped (str value))) \"))))

(defn- ns-form
  "The ns form of a source, or nil where there is none that can be read."
  [text]
  (binding [*read-eval* false]
    (let [reader (PushbackReader. (StringReader. text))]
      (try
        (loop []
          (let [form (read {:read-cond :allow, :eof ::end} reader)]
            (cond
              (= ::end form)                            nil
              (and (seq? form) (= 'ns (first form))) form
              :else                                     (recur))))
        (catch Exception _ nil)))))

(defn- required
  "The namespaces that a clause of ns requires, those of prefix lists included (clojure.core/load-libs)."
  [[kind & specs]]
  (when (#{:require :use} kind)
    (mapcat (fn [spec]
              (cond
                (symbol? spec)           [spec]
                (not (sequential? spec)) nil
                (or (nil? (second spec)) (keyword? (second spec))) [(first spec)]
                :else (for [lib (rest spec)] (symbol (str (first spec) "." (if (symbol? lib) lib (first lib)))))))
            specs)))

(defn- described
  "What a source says of itself: {:name the namespace, :needs those that it requires}."
  [text]
  (let [[_ name & clauses] (ns-form text)]
    {:name name, :needs (set (mapcat required (filter sequential? clauses)))}))

(defn- source? [^File file]
  (and (.isFile file) (re-find #"\.cljc?$" (.getName file)) (not= "repl.clj" (.getName file))))

(defn- sources
  "All sources of the service by their paths on the class path, as they stand."
  []
  (into {} (for [^File file (file-seq root) :when (source? file)]
             [(str (.relativize (.toPath root) (.toPath file))) (described (slurp file))])))

(defn- ordered
  "The paths of `sources`, each behind those that it requires."
  [sources]
  (let [by-name (into {} (for [[path {:keys [name]}] sources :when name] [name path]))
        visit   (fn visit [[done seen :as state] path]
                  (if (seen path)
                    state
                    (let [needs         (sort (keep by-name (:needs (sources path))))
                          [done seen] (reduce visit [done (conj seen path)] needs)]
                      [(conj done path) seen])))]
    (first (reduce visit [[] #{}] (sort (keys sources))))))

(defn- expanded?
  "Whether what this namespace has is compiled into those that require it: macros, inlined functions, constants, types,
  protocols."
  [name]
  (some (fn [[symbol var]]
          (let [{:keys [macro inline const]} (meta var)]
            (or macro inline const
                (str/starts-with? (str symbol) "->")
                (and (bound? var) (map? @var) (:on-interface @var)))))
        (some-> name find-ns ns-interns)))

(defn- fault
  "An error with its place, in Clojure's own words."
  [path error]
  (let [{:clojure.error/keys [line column] :as triage} (main/ex-triage (Throwable->map error))
        [heading text] (str/split (main/ex-str triage) #"\n" 2)]
    {:file    (or (:clojure.error/path triage) path)
     :line    line
     :column  column
     :message (if (str/blank? text) heading (str/trim text))}))

(defn- evaluate
  "Evaluates the sources at these paths, and those loaded ones into which something of theirs is compiled: the names of
  the namespaces, in their order, and at the first error what it is and which paths are left."
  [paths]
  (let [sources (sources)
        users   (fn [name] (for [[path {:keys [needs] user :name}] sources :when (and (needs name) (find-ns user))] path))]
    (loop [[path & more] (ordered sources), wanted (set paths), done []]
      (cond
        (nil? path)           {:evaluated done}
        (not (wanted path)) (recur more wanted done)
        :else
        (let [name   (get-in sources [path :name])
              before (expanded? name)
              error  (try
                       (Compiler/load (StringReader. (slurp (io/file root path))) path (.getName (io/file path)))
                       nil
                       (catch Throwable error error))]
          (if error
            {:evaluated done, :error (fault path error), :left (filterv wanted (cons path more))}
            (recur more
                   (cond-> wanted (or before (expanded? name)) (into (users name)))
                   (conj done (str (or name path))))))))))

(defn- start-nrepl
  "Starts nREPL where the service has it; whether it does."
  [address port]
  (boolean (when (some io/resource ["nrepl/server.clj" "nrepl/server__init.class"])
             ((requiring-resolve 'nrepl.server/start-server) :bind address :port port))))

(defn- answer [{:keys [nrepl address write delete paths]}]
  (doseq [[path text] write :let [file (io/file root path)]]
    (io/make-parents file)
    (spit file text))
  (doseq [path delete]
    (io/delete-file (io/file root path) true))
  (let [out (StringWriter.)]
    (assoc (binding [*out* out, *err* out] (if nrepl {:nrepl (start-nrepl address nrepl)} (evaluate paths)))
           :out (str out))))

(defn serve
  "Answers requests: {:nrepl port, :address text}, or {:write [[path text]], :delete [path], :paths [path]}, which evaluates :paths."
  []
  (loop []
    (let [request (read {:eof ::end} *in*)]
      (when-not (= ::end request)
        (println (json (try (answer request) (catch Throwable error {:error (fault nil error)}))))
        (flush)
        (recur)))))
