"""Words that letters use in English, German, French and Spanish, folded, by what they say about a document."""

import re
from collections.abc import Iterable, Mapping


def _any(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})")


# Before a name: whose document it is, or who else is named in it.
SUBJECT = re.compile(
    r"\b(patient(?:in|e|enname|enetikett|ename)?|paciente|name|nom|nombre|re|betr(?:ifft|eff)?|concerne|asunto|objet"
    r"|insured person|versicherte(?:r)? person|regarding|about|uber|member|examined|child|kind|enfant|nino|nina"
    r"|apellidos|prenom|vorname|nachname)\b[^a-z0-9]*(?:(?:mr|mrs|ms|mx|herr|frau|mme|m|sr|sra)\b[^a-z0-9]*)?$"
)
OTHER_PERSON = re.compile(
    r"\b(dr|doctor|prof|doctora|med|docteur|dipl|policy ?holder|versicherungsnehmer(?:in)?|souscripteur|tomador"
    r"|mother|father|mutter|vater|mere|pere|madre|padre|parents? of|emergency contact|notfallkontakt|contact"
    r"|personne a prevenir|contacto|accompanied by|begleitet von|accompagnee? (?:de|par)|acompanad[oa] (?:de|por)"
    r"|signed|gezeichnet|signe|firmado|cc|copy to|kopie an|copie a|copia a|sent to|to the attention of|z\. ?hd\.?"
    r"|invoice to|rechnung an|billed to|payer|zahler|payeur|titular|guardian|legal representative"
    r"|gesetzliche[rn]? vertreter(?:in)?|representant legal|tutor|brother|sister|bruder|schwester|frere|soeur|hermano"
    r"|hermana|wife|husband|ehefrau|ehemann|epouse|epoux|esposa|esposo)\b[^a-z0-9\n]*(?:(?:mr|mrs|ms|mx|herrn?|frau|monsieur|madame|mme|m|senora?|sra?|d|dr|med|an|to|de|a"
    r"|of|is|ist|est|es)\b[^a-z0-9\n]*){0,3}$"
)

CATEGORIES: Mapping[str, re.Pattern[str]] = {
    "summary": _any(
        "discharge (?:summary|letter|report)|visit summary|after.visit summary|clinical summary"
        "|summary of (?:the )?visit|consultation (?:report|note|letter)|clinic(?:al)? letter|arztbrief"
        "|arztbericht|entlass(?:ungs)?(?:brief|bericht)|entlassungsbrief|befundbericht|kurzbericht"
        "|behandlungsbericht|sprechstundenbericht|compte.rendu de consultation|compte.rendu d.hospitalisation"
        "|lettre de sortie|resume de (?:la )?consultation|resumen de (?:la )?(?:visita|consulta)"
        "|informe de (?:alta|consulta)|informe clinico|resumen clinico"
    ),
    "referral": _any(
        "referral|refer(?:red)? to|uberweisung(?:sschein)?|einweisung|lettre d.adressage|courrier d.adressage"
        "|adresse au|orientation vers|derivacion|volante|interconsulta|hoja de derivacion"
    ),
    "prescription": _any(
        r"prescription|\brx\b|rezept|verordnung|verschreibung|ordonnance|receta|prescripcion"
    ),
    "test_order": _any(
        "(?:test|lab(?:oratory)?|imaging) (?:order|request|requisition)|order form|request form|laborauftrag"
        "|laboranforderung|anforderungsschein|untersuchungsauftrag|untersuchungsanforderung|demande d.(?:analyse"
        "|examen)s?|bon d.examen|peticion de (?:analitica|pruebas|laboratorio)|solicitud de (?:analisis|pruebas"
        "|analitica|laboratorio)"
    ),
    "correspondence": _any(
        "appointment (?:confirmation|letter|reminder)|invitation|letter|reminder|terminbestatigung|einladung"
        "|erinnerung|schreiben|mitteilung|confirmation de rendez.vous|convocation|courrier|rappel"
        "|confirmacion de (?:la )?cita|citacion|recordatorio|carta|notice|approval|bewilligung|kostenzusage"
        "|accord de prise en charge|autorizacion"
    ),
    "result": _any(
        "(?:laboratory|lab|test|blood|urine) (?:results?|report|values)|results? of|laborbefund|laborwerte"
        "|laborergebnis|ergebnis|blutbild|resultats?(?: d.analyses?)?|analyses? (?:de sang|biologiques?"
        "|medicales?)|biologie medicale|resultados?(?: de)?|analitica|hemograma|reference range|referenzbereich"
        "|valeurs de reference|valores de referencia"
    ),
    "report": _any(
        "(?:radiology|pathology|operative|operation|surgical|procedure|imaging|x.ray|mri|ct|ultrasound|endoscopy"
        "|ecg|histology) report|report of|op.?bericht|operationsbericht|radiologischer befund|befund"
        "|pathologiebericht|histologie(?:befund)?|untersuchungsbericht|eingriffsbericht"
        "|compte.rendu (?:operatoire|radiologique|d.imagerie|d.anatomopathologie|d.examen|d.intervention"
        "|de l.intervention)|informe (?:operatorio|quirurgico|radiologico|de radiologia|de anatomia patologica"
        "|de anatomopatologia|de la intervencion|de intervencion|del procedimiento)"
    ),
    "image": _any(
        r"image|bild(?:er)?\b|aufnahme\b|cliche|imagen"
    ),
    "consent": _any(
        "consent|informed consent|einwilligung(?:serklarung)?|aufklarung(?:sbogen)?|consentement(?: eclaire)?"
        "|consentimiento(?: informado)?"
    ),
    "instructions": _any(
        "(?:discharge|pre.?operative|post.?operative|preparation|care|aftercare|patient) instructions"
        "|instructions|before your (?:procedure|operation|examination)|after your (?:procedure|operation|surgery)"
        "|how to prepare|vorbereitung|merkblatt|nachsorge(?:hinweise)?|verhaltenshinweise|hinweise (?:zur|nach"
        "|vor)|consignes|preparation a (?:l.examen|l.intervention)|conseils (?:apres|avant)|instrucciones"
        "|preparacion para|cuidados (?:despues|tras)|recomendaciones"
    ),
    "billing": _any(
        r"invoice|bill\b|statement of charges|amount due|rechnung|honorarnote|zahlungsbetrag|facture"
        "|note d.honoraires|montant (?:du|a payer)|factura|importe (?:total|a pagar)|minuta"
    ),
    "card": _any(
        "insurance card|member card|membership card|health card|versicher(?:ten|ungs)karte|gesundheitskarte"
        "|carte (?:vitale|d.assure|d.assurance)|tarjeta (?:sanitaria|de seguro|del seguro)"
    ),
    "policy": _any(
        "policy (?:document|schedule|certificate)|insurance policy|your policy|certificate of insurance"
        "|versicherungs(?:schein|police|bedingungen|vertrag)|police d.assurance|contrat d.assurance"
        "|conditions generales|conditions particulieres|poliza|condiciones (?:generales|particulares)"
    ),
    "claim": _any(
        "claim form|claim|reimbursement request|leistungsantrag|erstattungsantrag|kostenerstattung"
        "|schadensmeldung|demande de remboursement|feuille de soins|declaration de sinistre"
        "|solicitud de reembolso|parte de siniestro|reclamacion"
    ),
    "eob": _any(
        r"explanation of benefits|\beob\b|benefit statement|leistungsabrechnung|erstattungsbescheid"
        "|abrechnung der leistungen|decompte (?:de remboursement|des prestations)|releve de prestations"
        "|releve de remboursements?|explicacion de beneficios|liquidacion de prestaciones|detalle de prestaciones"
    ),
    "id": _any(
        "identity card|passport|birth certificate|personalausweis|reisepass|geburtsurkunde|carte d.identite"
        "|passeport|acte de naissance|documento de identidad|pasaporte|partida de nacimiento"
    ),
    "vaccination": _any(
        r"vaccin\w*|immuni[sz]ation\w*|impf(?:ung|pass|ausweis|buch|bescheinigung|nachweis)\w*"
        r"|carnet de vaccination|vacuna\w*|cartilla de vacunacion"
    ),
    "medication": _any(
        "medication (?:plan|list)|list of medicines|medikationsplan|medikamentenplan|medikamentenliste"
        "|plan de medication|liste des medicaments|traitement en cours|plan de medicacion|lista de medicamentos"
        "|hoja de medicacion"
    ),
    "directive": _any(
        "advance (?:directive|decision)|living will|power of attorney|patientenverfugung|vorsorgevollmacht"
        "|directives anticipees|mandat de protection|voluntades anticipadas|instrucciones previas"
        "|testamento vital"
    ),
}  # fmt: skip

# How well a category fits a type of record when the record is chosen: the kind of paper speaks for the type.
TYPE_HINTS: Mapping[str, Iterable[str]] = {
    "lab-result": ("result",),
    "insurance": ("card", "policy", "claim", "eob"),
    "visit": ("summary", "referral", "prescription", "test_order"),
    "procedure": ("consent", "billing", "instructions"),
    "patient": ("id", "vaccination", "medication", "directive"),
}
STOPS = (
    "and the for with from der die das und mit von vom zur zum ein eine des dem den les une aux avec pour par dans del "
    "las los una con para por visit besuch visite visita test result report document scan file"
)
STOP = frozenset(STOPS.split())  # words that tell no records apart
