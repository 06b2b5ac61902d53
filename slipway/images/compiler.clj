;; The compiler of one project's jar: a JVM that evaluates what Leiningen's evaluates, in the same state, and waits before
;; the first of the project's own namespaces. So what comes before, which is others' code, is compiled already when the
;; project has changed. It is used once: then it packs what was compiled as Leiningen does, and ends.
;;
;; The names of Clojure's classes have numbers from one counter (clojure.lang.RT/id). This file is loaded before
;; Leiningen's code, and then the counter is set to what it was. Only what Clojure has loaded by itself is used here:
;; no namespace is loaded that Leiningen's JVM would not have.
(ns slipway.compiler
  (:import (clojure.lang RT)
           (java.io BufferedOutputStream ByteArrayInputStream File FileOutputStream)
           (java.net StandardProtocolFamily URL UnixDomainSocketAddress)
           (java.nio ByteBuffer)
           (java.nio.channels SelectionKey Selector ServerSocketChannel SocketChannel)
           (java.nio.file Files LinkOption Path)
           (java.util Base64)
           (java.util.concurrent.atomic AtomicInteger)
           (java.util.jar JarEntry JarOutputStream Manifest)
           (jdk.net ExtendedSocketOptions UnixDomainPrincipal)))

(def ^:private idle "Milliseconds after which nobody is waited for any more." (* 30 60 1000))
(def ^:private poll "Milliseconds between two looks at whether this compiler is still wanted." 2000)
(def ^:private least-memory "Kilobytes that others must have left." (* 256 1024))

(def ^:private state
  "The server's :channel and :key of its file, the :client, the :paths loaded so far, and the original :load."
  (atom {:paths []}))

;; Who may ask

(defn- file-key [path]
  (let [^Path path (.toPath (File. ^String path))]
    (when (Files/exists path (into-array LinkOption [LinkOption/NOFOLLOW_LINKS]))
      (Files/getAttribute path "unix:ino" (into-array LinkOption [LinkOption/NOFOLLOW_LINKS])))))

(defn- listen [socket]
  (let [channel (ServerSocketChannel/open StandardProtocolFamily/UNIX)]
    (.bind channel (UnixDomainSocketAddress/of ^String socket))
    (.configureBlocking channel false)
    (swap! state assoc :channel channel :socket socket :key (file-key socket))))

(defn- memory-is-short? []
  (let [[_ left] (re-find #"MemAvailable:\s+(\d+) kB" (String. (Files/readAllBytes (.toPath (File. "/proc/meminfo")))))]
    (and left (< (Long/parseLong left) least-memory))))

(defn- abandoned?
  "Whether nobody will come: the socket is gone or another one, or others need the memory."
  []
  (let [{:keys [socket key]} @state]
    (or (not= key (file-key socket)) (memory-is-short?))))

(defn- own-user? [^SocketChannel client]
  (let [^UnixDomainPrincipal peer (.getOption client ExtendedSocketOptions/SO_PEERCRED)]
    (= (.getName (.user peer)) (System/getProperty "user.name"))))

(defn- accept
  "The client of this user; nil if none comes."
  ^SocketChannel []
  (let [{:keys [^ServerSocketChannel channel]} @state
        end (+ (System/currentTimeMillis) idle)]
    (with-open [selector (Selector/open)]
      (.register channel selector SelectionKey/OP_ACCEPT)
      (loop []
        (when-not (or (abandoned?) (< end (System/currentTimeMillis)))
          (.select selector (long poll))
          (.clear (.selectedKeys selector))
          (let [client (.accept channel)]
            (cond (nil? client) (recur)
                  (own-user? client) client
                  :else (do (.close client) (recur)))))))))

(defn- say [line]
  (let [{:keys [^SocketChannel client]} @state]
    (.write client (ByteBuffer/wrap (.getBytes (str line "\n") "UTF-8")))))

(defn- end
  "End this JVM, which has said all that it has to say."
  [line]
  (flush)
  (when (:client @state) (say line))
  (.halt (Runtime/getRuntime) 0))

(defn- remove-and-end
  "End this JVM, for which nobody has come, and leave nothing behind."
  []
  (let [{:keys [^String socket key]} @state]
    (when (= key (file-key socket))
      (doseq [^File file (reverse (file-seq (.getParentFile (File. socket))))] (.delete file))))
  (end nil))

(defn- end-with-client
  "End this JVM once the client is gone: it has been cancelled or killed."
  [^SocketChannel client]
  (doto (Thread. (fn []
                   (try (while (not= -1 (.read client (ByteBuffer/allocate 16))))
                        (catch Throwable _))
                   (.halt (Runtime/getRuntime) 1)))
    (.setDaemon true)
    (.start)))

;; What is compiled beforehand

(defn- url ^URL [path]
  (.getResource (RT/baseLoader) path))

(defn- forms-of [path]
  (map #(str (subs path 1) %) ["__init.class" ".clj" ".cljc"]))

(defn- of-a-dependency?
  "Whether a namespace, as a path that starts with /, is in a jar, or was compiled here from one."
  [path]
  (let [compiled (str (.toURI (File. ^String *compile-path*)))
        found (keep url (forms-of path))]
    (and (seq found)
         (every? (fn [^URL one] (or (= "jar" (.getProtocol one)) (.startsWith (str one) compiled))) found))))

(defn- absolute [^String path]
  (if (.startsWith path "/")
    path
    (str "/" (.. (name (ns-name *ns*)) (replace \- \_) (replace \. \/) (replaceAll "/?[^/]*$" "")) "/" path)))

(defn- require-no-shadows
  "End where the project now has a namespace of its own for one that was loaded from a dependency."
  []
  (doseq [path (:paths @state)]
    (when-not (of-a-dependency? path) (end (str "unclear " path)))))

(defn- wait
  "Wait for the client, before the first namespace that may be the project's own."
  []
  (.bindRoot ^clojure.lang.Var #'load (:load @state))
  (let [client (accept)]
    (when-not client (remove-and-end))
    (.close ^ServerSocketChannel (:channel @state))
    (.delete (File. ^String (:socket @state)))
    (end-with-client client)
    (swap! state assoc :client client)
    (require-no-shadows)))

(defn- watched-load [& paths]
  (doseq [path (map absolute paths)]
    (if (of-a-dependency? path)
      (swap! state update :paths conj path)
      (when-not (:client @state) (wait))))
  (apply (:load @state) paths))

;; What is packed: leiningen.jar/write-jar and leiningen.uberjar/copy-entries, of Leiningen 2.9 to 2.12

(defn- skipped? [{:keys [jar-exclusions jar-inclusions]} ^File file path root]
  (or (not (.exists file))
      (and (not= file root)
           (not (some #(re-find % path) jar-inclusions))
           (or (re-find #"^\.?#" (.getName file))
               (re-find #"~$" (.getName file))
               (some #(re-find % path) jar-exclusions)))))

(defn- put [^JarOutputStream out {:keys [uberjar-exclusions merged]} ^JarEntry entry write]
  (let [name (.getName entry)]
    (when (some #(re-find % name) merged) (end (str "unclear " name)))
    (when-not (some #(re-find % name) uberjar-exclusions)
      (.putNextEntry out entry)
      (write)
      (.closeEntry out))))

(defn- pack-tree [recipe ^JarOutputStream out added tree]
  (let [root (File. ^String tree)
        above (str (if (.isDirectory root) root (.getParent root)) "/")]
    (reduce (fn [added ^File file]
              (let [full (if (.isDirectory file) (str file "/") (str file))
                    path (if (.startsWith full above) (subs full (count above)) full)]
                (if (or (skipped? recipe file path root) (= "" (.trim path)) (added path))
                  added
                  (do (put out recipe
                           (doto (JarEntry. path) (.setTime (.lastModified file)))
                           #(when-not (.isDirectory file) (Files/copy (.toPath file) out)))
                      (conj added path)))))
            added
            (file-seq root))))

(defn- pack-bytes [recipe ^JarOutputStream out added path ^bytes content]
  (when-not (some #(re-find % path) (:jar-exclusions recipe))
    (put out recipe (JarEntry. ^String path) #(.write out content)))
  (conj added path))

(defn- decoded ^bytes [^String text]
  (.decode (Base64/getDecoder) text))

(defn- pack
  "Pack what was compiled into the file `jar`. :specs are [:tree path] and [:entry path base64]; patterns are strings."
  [recipe jar]
  (let [patterns [:jar-exclusions :jar-inclusions :uberjar-exclusions :merged]
        recipe (reduce #(update %1 %2 (fn [given] (mapv re-pattern given))) recipe patterns)
        manifest (Manifest. (ByteArrayInputStream. (decoded (:manifest recipe))))]
    (with-open [out (JarOutputStream. (BufferedOutputStream. (FileOutputStream. ^String jar)) manifest)]
      (reduce (fn [added [kind path content]]
                (case kind
                  :tree (pack-tree recipe out added path)
                  :entry (pack-bytes recipe out added path (decoded content))))
              #{}
              (:specs recipe)))))

(defn- finish
  "Pack and end, if Leiningen's code has come to its end."
  [folder]
  (when (and (:client @state) (System/getProperty "slipway.compiled"))
    (try
      (pack (read-string (slurp (str folder "/recipe.edn"))) (str folder "/own.jar"))
      (end "done")
      (catch Throwable error (.println System/err error)))))

(defn arm
  "Listen in `folder`, and have Leiningen's code, which follows, meet Clojure as it is without this file. `first-id` is
  what the counter was before."
  [folder first-id]
  (listen (str folder "/socket"))
  (.addShutdownHook (Runtime/getRuntime) (Thread. #(finish folder)))
  (swap! state assoc :load load)
  (.bindRoot ^clojure.lang.Var #'load watched-load)
  (remove-ns 'slipway.compiler)
  (let [id (doto (.getDeclaredField RT "id") (.setAccessible true))]
    (.set ^AtomicInteger (.get id nil) (int first-id))))
