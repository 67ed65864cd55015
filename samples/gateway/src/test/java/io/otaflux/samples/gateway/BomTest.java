package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.SAXException;

/** The BOM has no parent to take versions from, so it can differ from what is built and tested here; this keeps it from that. */
class BomTest {

    private static final Path ROOT = Path.of(System.getProperty("basedir", ""))
            .toAbsolutePath()
            .resolve("../..")
            .normalize();

    private final Element parent = pom(".");
    private final Element bom = pom("bom");

    @Test
    void theBomNamesTheReleasesThatAreTestedTogether() {
        assertThat(managed(bom))
                .contains(
                        "io.netty:netty-bom:pom:" + property("netty.version"),
                        "io.projectreactor:reactor-bom:pom:" + property("reactor-bom.version"),
                        "com.hivemq:hivemq-mqtt-client:jar:" + property("hivemq.version"));
        assertThat(text(bom, "version")).isEqualTo(text(parent, "version"));
        assertThat(managed(bom)).first().asString().startsWith("io.netty:netty-bom:");
    }

    @Test
    void everyPublishedModuleIsInTheBomAndNoOther() {
        List<String> published = new ArrayList<>();
        for (Element module : children(child(parent, "modules"), "module")) {
            Element pom = pom(module.getTextContent().strip());
            String artifact = text(pom, "artifactId");
            boolean internal = children(pom, "properties").stream()
                    .anyMatch(properties -> text(properties, "otaflux.internal").equals("true"));
            if (!internal && !artifact.equals("otaflux-bom")) {
                published.add("io.otaflux:" + artifact + ":jar:${project.version}");
            }
        }
        published.add("io.otaflux:otaflux-core:test-jar:${project.version}");

        assertThat(published).hasSizeGreaterThan(4);
        assertThat(managed(bom))
                .filteredOn(managed -> managed.startsWith("io.otaflux:"))
                .containsExactlyInAnyOrderElementsOf(published);
    }

    private String property(String name) {
        return text(child(parent, "properties"), name);
    }

    private static List<String> managed(Element pom) {
        List<String> managed = new ArrayList<>();
        for (Element dependency : children(child(child(pom, "dependencyManagement"), "dependencies"), "dependency")) {
            String type = text(dependency, "type");
            managed.add(text(dependency, "groupId") + ":" + text(dependency, "artifactId") + ":"
                    + (type.isEmpty() ? "jar" : type) + ":" + text(dependency, "version"));
        }
        return managed;
    }

    private static Element pom(String module) {
        try {
            return DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(ROOT.resolve(module).resolve("pom.xml").toFile())
                    .getDocumentElement();
        } catch (ParserConfigurationException | SAXException | IOException e) {
            throw new IllegalStateException(module, e);
        }
    }

    private static String text(Element parent, String name) {
        return children(parent, name).stream()
                .findFirst()
                .map(Element::getTextContent)
                .map(String::strip)
                .orElse("");
    }

    private static Element child(Element parent, String name) {
        return children(parent, name).stream()
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(parent.getTagName() + " has no " + name));
    }

    private static List<Element> children(Element parent, String name) {
        List<Element> children = new ArrayList<>();
        for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element element && element.getTagName().equals(name)) {
                children.add(element);
            }
        }
        return children;
    }
}
